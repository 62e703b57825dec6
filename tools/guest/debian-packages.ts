/** Debian packages as files: fetched with apt-get, unpacked with dpkg-deb, never installed. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const FETCH_MS = 300_000;

/** The names of the packages' files in `folder`, one for each of `names`, or null where one is missing. */
export function packageFiles(folder: string, names: readonly string[]): string[] | null {
  const present = existsSync(folder) ? readdirSync(folder) : [];
  const files = names.map(name => present.filter(file => file.startsWith(`${name}_`) && file.endsWith('.deb')));
  return files.every(found => found.length > 0) ? files.map(found => found.sort().at(-1) as string) : null;
}

/** Leaves the newest version of each package that the lists on this machine know in `folder`. Needs no root. */
export function fetchPackages(folder: string, names: readonly string[]): void {
  // As root, apt-get would warn that its unprivileged user may not write there.
  const asRoot = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
  run('apt-get', [...asRoot, '-q', 'download', ...names], folder);
}

/** The lists that `fetchPackages` goes by, made new; root only. */
export function updatePackageLists(): void {
  run('apt-get', ['-q', 'update'], '/');
}

export function unpackPackage(file: string, folder: string): void {
  run('dpkg-deb', ['-x', file, folder], folder);
}

/** The names of the packages that the one in `file` depends on, without versions; of alternatives the first. */
export function dependencies(file: string): string[] {
  const text = execFileSync('dpkg-deb', ['-f', file, 'Depends'], { encoding: 'utf8' });
  return text.split(',').flatMap(entry => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(entry)?.[1] ?? []);
}

function run(program: string, args: readonly string[], cwd: string): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { cwd, env, timeout: FETCH_MS, encoding: 'utf8' } as const;
  const { status, stderr, error } = spawnSync(program, args, options);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
