/**
 * Qcow2Neighbour: a qcow2 image served over a unix socket by qemu-storage-daemon, with the two commands of docs/qemu.md,
 * "Other image formats".
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ColobusError } from '../../src/base/errors.ts';
import type { NodeDefinition } from '../../src/block/driver.ts';
import { Program } from './program.ts';
import { TemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);

export class Qcow2Neighbour implements AsyncDisposable {
  readonly image: string;
  readonly #folder: TemporaryFolder;
  readonly #program: Program;

  private constructor(folder: TemporaryFolder, program: Program) {
    this.image = folder.file('disk.qcow2');
    this.#folder = folder;
    this.#program = program;
  }

  /** Creates an empty image and serves it. */
  static async start(sizeBytes: number): Promise<Qcow2Neighbour> {
    const folder = await TemporaryFolder.create('memory');
    try {
      const image = folder.file('disk.qcow2');
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', image, String(sizeBytes)]);
      const args = ['--blockdev', `driver=file,node-name=file,filename=${image},discard=unmap`];
      args.push('--blockdev', 'driver=qcow2,node-name=disk,file=file,discard=unmap');
      args.push('--nbd-server', `addr.type=unix,addr.path=${folder.file('nbd')}`);
      args.push('--export', 'nbd,id=disk,node-name=disk,name=disk,writable=on', '--pidfile', folder.file('pid'));
      const program = Program.start('qemu-storage-daemon', args);
      try {
        await program.created(folder.file('pid'), `${program.pid}\n`);
        return new Qcow2Neighbour(folder, program);
      } catch (error) {
        await program[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The node of Colobus that takes the place of `driver=file`. */
  get definition(): NodeDefinition {
    return { driver: 'nbd', server: { type: 'unix', path: this.#folder.file('nbd') }, export: 'disk' };
  }

  /** Sends `signal`; where that ends the process, resolves when it has. */
  async signal(signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
    this.#program.signal(signal);
    if (signal === 'SIGKILL') await this.#program.ended();
  }

  /** Ends the daemon as an operator does; the image must be whole then. Returns what a guest reads from it. */
  async content(): Promise<Buffer> {
    this.#program.signal('SIGTERM');
    const { exitCode, stderr } = await this.#program.ended();
    if (exitCode !== 0) throw new ColobusError(`qemu-storage-daemon ended with ${exitCode}: ${stderr}`);
    await run('qemu-img', ['check', '-q', this.image]);
    const raw = this.#folder.file('disk.raw');
    await run('qemu-img', ['convert', '-O', 'raw', this.image, raw]);
    return await readFile(raw);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}
