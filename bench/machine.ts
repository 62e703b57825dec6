/** What a result was measured on and with. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../test/support/project.ts';

export function describeMachine(diskDirectory: string): Readonly<Record<string, string | number>> {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    kernel: release(),
    disks: diskDirectory,
  };
}

/** Versions of Node, Colobus and the peers; throws where a peer is not installed. */
export function describeVersions(): Readonly<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
  return {
    node: process.versions.node,
    colobus: version,
    qemu: firstLine('qemu-system-x86_64', '--version'),
    'qemu-nbd': firstLine('qemu-nbd', '--version'),
    nbdkit: firstLine('nbdkit', '--version'),
    nbdcopy: firstLine('nbdcopy', '--version'),
    fio: firstLine('fio', '--version'),
  };
}

function firstLine(program: string, argument: string): string {
  return execFileSync(program, [argument], { encoding: 'utf8' }).split('\n')[0] ?? '';
}
