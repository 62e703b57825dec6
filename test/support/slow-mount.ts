/**
 * SlowMount: an image on a FUSE file system that takes its time over every read and write.
 *
 * nbdfuse shows the export of an nbdkit with the delay filter as a file. Mounting needs /dev/fuse, and root or
 * fusermount3.
 */

import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { ColobusError, messageOf } from '../../src/base/errors.ts';
import { Program } from './program.ts';

const run = promisify(execFile);
const MOUNT_MS = 20_000;
const FILE_NAME = 'disk.img';

export type SlowMountOptions = {
  /** An empty or missing folder, which becomes the mount point. */
  readonly directory: string;
  /** The image whose content is shown. */
  readonly image: string;
  readonly delayMs: number;
};

export class SlowMount implements AsyncDisposable {
  /** Path of the slow image. */
  readonly path: string;
  readonly #directory: string;
  readonly #program: Program;

  private constructor(directory: string, program: Program) {
    this.path = join(directory, FILE_NAME);
    this.#directory = directory;
    this.#program = program;
  }

  /** Throws ColobusError, with nothing left mounted, where this machine does not permit it. */
  static async start({ directory, image, delayMs }: SlowMountOptions): Promise<SlowMount> {
    try {
      accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new ColobusError('FUSE is not permitted here: /dev/fuse cannot be opened', { cause });
    }
    await mkdir(directory, { recursive: true });
    const delays = [`rdelay=${delayMs}ms`, `wdelay=${delayMs}ms`];
    const server = ['nbdkit', '-s', '--filter=delay', 'file', image, ...delays];
    const program = Program.start('nbdfuse', [join(directory, FILE_NAME), '--command', ...server]);
    const mount = new SlowMount(directory, program);
    try {
      await mount.#mounted();
      return mount;
    } catch (error) {
      await mount[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Unmounts; whoever has the image open must have closed it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.#directory]).catch(() => run('fusermount3', ['-u', this.#directory]).catch(() => {}));
    await this.#program[Symbol.asyncDispose]();
  }

  async #mounted(): Promise<void> {
    let isWaiting = true;
    const appeared = (async () => {
      while (isWaiting && !(await exists(this.path))) await setImmediate();
    })();
    const ended = this.#program.ended(2 * MOUNT_MS).then(({ stderr }) => {
      throw new ColobusError(`nbdfuse could not mount: ${stderr.trim()}`);
    });
    try {
      const message = `nbdfuse has not mounted within ${MOUNT_MS} ms`;
      await withDeadline(Promise.race([appeared, ended]), MOUNT_MS, systemClock, message);
    } catch (error) {
      throw new ColobusError(`FUSE does not work here: ${messageOf(error)}`, { cause: error });
    } finally {
      isWaiting = false;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
