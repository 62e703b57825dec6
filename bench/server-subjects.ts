/** The servers of a single image, each started with its shipped defaults: `colobus serve`, nbdkit and qemu-nbd. */

import { randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ColobusError } from '../src/base/errors.ts';
import { acceptingSocket } from '../test/support/accepting-socket.ts';
import { Program } from '../test/support/program.ts';
import type { BenchmarkOptions } from './benchmark-group.ts';
import type { Subject } from './subject.ts';

const START_MS = 20_000;
const MIB = 1024 * 1024;

export const COLOBUS_SERVE = 'colobus serve';
export const NBDKIT = 'nbdkit';
export const QEMU_NBD = 'qemu-nbd';

export type ServerName = typeof COLOBUS_SERVE | typeof NBDKIT | typeof QEMU_NBD;

/** Starts a server on an image of its own, which is full of random bytes and has no holes. */
export async function startServer(name: ServerName, options: BenchmarkOptions, imageBytes: number): Promise<Subject> {
  const slug = name.replace(' ', '-');
  const image = join(options.diskDirectory, `${slug}.img`);
  const socket = join(options.workDirectory, `${slug}.nbd`);
  await createFullImage(image, imageBytes);
  const program = startProgram(name, socket, image);
  try {
    await Promise.race([acceptingSocket(socket, START_MS), endedEarly(program, name)]);
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return {
    name,
    uri: `nbd+unix:///?socket=${socket}`,
    pids: { server: program.pid },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** A file of `bytes` that are random, the same megabyte again and again, so that no server can tell runs of zeroes. */
export async function createFullImage(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'wx');
  const block = randomFillSync(Buffer.allocUnsafe(MIB));
  for (let offset = 0; offset < bytes; offset += block.length) {
    await file.write(block, 0, Math.min(block.length, bytes - offset), offset);
  }
}

function startProgram(name: ServerName, socket: string, image: string): Program {
  switch (name) {
    case COLOBUS_SERVE:
      return Program.colobus(['serve', '--socket', socket, image]);
    case NBDKIT:
      return Program.start('nbdkit', ['-f', '-U', socket, 'file', image]);
    case QEMU_NBD:
      return Program.start('qemu-nbd', ['-t', '-e', '8', '-k', socket, '-f', 'raw', image]);
  }
}

async function endedEarly(program: Program, name: string): Promise<never> {
  const { exitCode, stderr } = await program.ended(2 * START_MS);
  throw new ColobusError(`${name} ended early with exit code ${exitCode}: ${stderr}`);
}
