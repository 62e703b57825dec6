/**
 * Sees to it that the foreign programs the tests speak to are there: QEMU, nbdkit, libnbd, GnuTLS, nbd-server and fio from
 * Debian, and the kernel and programs of the guest, which are unpacked and not installed.
 *
 * Silent where they are. Where one is missing, root gets it installed; anybody else gets the one command to run.
 */

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { GuestImage } from './guest/guest-image.ts';

type Peer = { readonly debianPackage: string; readonly isThere: () => boolean };

const PEERS: readonly Peer[] = [
  { debianPackage: 'qemu-utils', isThere: () => ['qemu-img', 'qemu-nbd', 'qemu-io'].every(onPath) },
  { debianPackage: 'qemu-system-x86', isThere: () => onPath('qemu-system-x86_64') },
  { debianPackage: 'nbdkit', isThere: () => onPath('nbdkit') },
  { debianPackage: 'libnbd-bin', isThere: () => ['nbdinfo', 'nbdcopy', 'nbdfuse'].every(onPath) },
  // Root mounts without a helper.
  { debianPackage: 'fuse3', isThere: () => process.getuid?.() === 0 || onPath('fusermount3') },
  { debianPackage: 'python3-libnbd', isThere: () => run('/usr/bin/python3', ['-c', 'import nbd'], 'ignore') },
  { debianPackage: 'fio', isThere: () => onPath('fio') },
  { debianPackage: 'gnutls-bin', isThere: () => ['certtool', 'psktool'].every(onPath) },
  { debianPackage: 'nbd-server', isThere: () => onPath('nbd-server') },
];

/** While this file says "forbidden", Debian's packages start no service when they are installed. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

const projectRoot = resolve(import.meta.dirname, '../..');

function main(): number {
  return programsAreThere() && guestIsThere() ? 0 : 1;
}

function programsAreThere(): boolean {
  const missing = missingPackages();
  if (missing.length === 0) return true;
  if (!onPath('apt-get') || process.getuid?.() !== 0) {
    const command = `sudo apt-get install -y --no-install-recommends ${missing.join(' ')}`;
    process.stderr.write(`The tests need programs that are not installed; on Debian 12 run: ${command}\n`);
    return false;
  }
  process.stderr.write(`Installing what the tests speak to: ${missing.join(' ')}\n`);
  withoutServices(() => install(missing));
  const stillMissing = missingPackages();
  if (stillMissing.length === 0) return true;
  process.stderr.write(`Not there after apt-get: ${stillMissing.join(' ')}; see its messages above\n`);
  return false;
}

function guestIsThere(): boolean {
  const image = GuestImage.of(projectRoot);
  if (image.isThere()) return true;
  process.stderr.write('Fetching what the guest of the tests is made of: a kernel, busybox, e2fsprogs\n');
  try {
    image.make();
    return true;
  } catch (error) {
    const { message } = error as Error;
    process.stderr.write(`The guest of the tests cannot be made: ${message}\n`);
    if (process.getuid?.() !== 0) process.stderr.write('On Debian 12 run: sudo apt-get update, and then this again\n');
    return false;
  }
}

function missingPackages(): string[] {
  return PEERS.filter(peer => !peer.isThere()).map(peer => peer.debianPackage);
}

function install(packages: readonly string[]): void {
  run('apt-get', ['update', '-q'], 'inherit');
  run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], 'inherit');
}

function withoutServices(action: () => void): void {
  const isOurs = !existsSync(SERVICE_POLICY);
  if (isOurs) writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    action();
  } finally {
    if (isOurs) rmSync(SERVICE_POLICY);
  }
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** True where the program ran and succeeded. What it prints goes to stderr, or nowhere. */
function run(program: string, args: readonly string[], output: 'ignore' | 'inherit'): boolean {
  const stream = output === 'inherit' ? process.stderr : 'ignore';
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(program, args, { stdio: ['ignore', stream, stream], env }).status === 0;
}

process.exitCode = main();
