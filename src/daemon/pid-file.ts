/**
 * PidFile: tells others which process the daemon is and that it is ready.
 *
 * The file appears with its content, is locked while the process lives, and is removed at its end.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { ENOENT, errnoOf } from '../base/errno.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import { lockImage } from '../os/image-lock.ts';

export class PidFile implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;

  private constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  /** Throws UsageError where a live process holds the file at `path`, or where it is something else. */
  static async checkFree(path: string): Promise<void> {
    let handle: FileHandle;
    try {
      // Not opened for writing yet where it is no plain file: a FIFO would block and a device might act.
      if (!(await stat(path)).isFile()) throw new UsageError(`Pidfile '${path}' is not a file; choose another path`);
      handle = await open(path, constants.O_RDWR);
    } catch (cause) {
      if (errnoOf(cause) === ENOENT) return;
      throw cause instanceof UsageError ? cause : refusal(path, cause);
    }
    try {
      refuseLocked(path, handle);
    } finally {
      await handle.close();
    }
  }

  /** Writes this process's id, in decimal and with a newline. Throws UsageError, leaving nothing behind. */
  static async create(path: string): Promise<PidFile> {
    await PidFile.checkFree(path);
    const temporaryPath = `${path}.${process.pid}`;
    const handle = await open(temporaryPath, 'wx+', 0o644).catch(cause => {
      throw refusal(path, cause);
    });
    try {
      refuseLocked(temporaryPath, handle);
      await handle.writeFile(`${process.pid}\n`);
      await rename(temporaryPath, path);
    } catch (cause) {
      await handle.close();
      await rm(temporaryPath, { force: true });
      throw cause instanceof UsageError ? cause : refusal(path, cause);
    }
    return new PidFile(path, handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { force: true });
    await this.#handle.close();
  }
}

/** The lock between users of an image serves here as well: it lasts while the file is open. */
function refuseLocked(path: string, handle: FileHandle): void {
  if (lockImage(handle.fd, 'write') === 'in-use') {
    throw new UsageError(`Pidfile '${path}' belongs to a process that runs; stop that or choose another path`);
  }
}

function refusal(path: string, cause: unknown): UsageError {
  return new UsageError(`Pidfile '${path}' cannot be written: ${messageOf(cause)}; choose another path`, { cause });
}
