/** Sandbox: a copy of the build in which a mutant can live and tests can run, beside the real one. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { applyMutant, type Mutant } from './mutant.ts';

const buildRoot = resolve(import.meta.dirname, '../..');
const projectRoot = resolve(buildRoot, '..');

/** What the built code and tests read of the project beside the build. */
const COPIED = ['package.json', 'biome.json', 'bin', 'peers'];
const LINKED = ['node_modules', 'src', 'test', 'bench', 'tools'];
/** Linked where it is there: what the guest of the tests boots, which would be made again otherwise. */
const CACHE = '.cache';

export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly test: string }
  | { readonly kind: 'timed out' };

export class Sandbox implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<Sandbox> {
    const folder = await mkdtemp(join(tmpdir(), 'colobus-mutant-'));
    try {
      await cp(buildRoot, join(folder, 'dist'), { recursive: true });
      for (const name of COPIED) await cp(join(projectRoot, name), join(folder, name), { recursive: true });
      for (const name of LINKED) await symlink(join(projectRoot, name), join(folder, name));
      if (existsSync(join(projectRoot, CACHE))) await symlink(join(projectRoot, CACHE), join(folder, CACHE));
      return new Sandbox(folder);
    } catch (error) {
      await rm(folder, { recursive: true });
      throw error;
    }
  }

  /** Runs `work` while the mutant's patch is in the build. */
  async withMutant<Result>(mutant: Mutant, work: () => Promise<Result>): Promise<Result> {
    const file = join(this.#folder, 'dist', mutant.file);
    const source = await readFile(file, 'utf8');
    await writeFile(file, applyMutant(mutant, source));
    try {
      return await work();
    } finally {
      await writeFile(file, source);
    }
  }

  /** Runs one built test file; ends it, and every process it started, after `timeoutMs`. */
  async runTest(file: string, timeoutMs: number): Promise<Verdict> {
    const args = ['--test', '--test-reporter=tap', join('dist', file)];
    const child = spawn(process.execPath, args, {
      cwd: this.#folder,
      stdio: ['ignore', 'pipe', 'ignore'],
      // The test of the runner may itself run under it, which node:test would refuse.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      detached: true,
    });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, timeoutMs);
    const failure = firstFailure(child);
    const [exitCode] = await once(child, 'close');
    clearTimeout(timer);
    killGroup(child);
    if (timedOut) return { kind: 'timed out' };
    return exitCode === 0 ? { kind: 'passed' } : { kind: 'failed', test: (await failure) ?? `${file} as a whole` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}

/** The name of the first test that failed: TAP names the inner ones first. */
async function firstFailure(child: ChildProcess): Promise<string | null> {
  let name: string | null = null;
  if (child.stdout === null) return null;
  for await (const line of createInterface({ input: child.stdout })) {
    name ??= /^\s*not ok \d+ - (.*)$/.exec(line)?.[1] ?? null;
  }
  return name;
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}
