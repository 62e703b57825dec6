/** SlowFile: a file of which every access takes its time: nbdkit's delay filter behind a FUSE mount. */

import { execFile } from 'node:child_process';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Program } from './program.ts';

export type SlowFileOptions = {
  /** An existing folder for the image and the mount; the caller removes it after the SlowFile is disposed. */
  readonly directory: string;
  readonly sizeBytes: number;
  readonly delayMs: number;
};

export class SlowFile implements AsyncDisposable {
  readonly path: string;
  readonly #mountpoint: string;
  readonly #fuse: Program;

  private constructor(mountpoint: string, fuse: Program) {
    this.path = join(mountpoint, 'nbd');
    this.#mountpoint = mountpoint;
    this.#fuse = fuse;
  }

  static async mount({ directory, sizeBytes, delayMs }: SlowFileOptions): Promise<SlowFile> {
    const image = join(directory, 'slow.img');
    const mountpoint = join(directory, 'slow');
    const pidfile = join(directory, 'slow.pid');
    await writeFile(image, '');
    await truncate(image, sizeBytes);
    await mkdir(mountpoint);
    const delays = [`rdelay=${delayMs}ms`, `wdelay=${delayMs}ms`];
    const server = ['nbdkit', '-s', '--threads', '64', '--filter=delay', 'file', image, ...delays];
    const fuse = Program.start('nbdfuse', ['--pidfile', pidfile, mountpoint, '--command', ...server]);
    try {
      await fuse.created(pidfile, `${fuse.pid}`);
      return new SlowFile(mountpoint, fuse);
    } catch (error) {
      await fuse[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The mount's end is nbdfuse's, and that the server's.
    await promisify(execFile)('umount', [this.#mountpoint]);
    await this.#fuse.ended();
  }
}
