/** WorkFolder: where the demo's sockets and images lie; what is not to be kept goes with it. */

import { constants, rmSync } from 'node:fs';
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, UsageError } from '../../base/errors.ts';

/** A socket's path may have 107 bytes; this leaves room for the names that the demo adds. */
const MAX_SOCKET_FOLDER_BYTES = 80;
const PREFIX = 'colobus-demo-';

export class WorkFolder implements AsyncDisposable {
  /** For sockets and pidfiles; its path is short. */
  readonly sockets: string;
  /** For images and the journal. */
  readonly images: string;
  readonly #removeAtExit = (): void => rmSync(this.sockets, { recursive: true, force: true });

  private constructor(sockets: string, images: string) {
    this.sockets = sockets;
    this.images = images;
    process.on('exit', this.#removeAtExit);
  }

  /** With `keep`, images and journal go into that folder, made where it is missing, and stay. Throws UsageError. */
  static async create(keep: string | null): Promise<WorkFolder> {
    if (keep !== null) await makeFolder(keep);
    const sockets = await mkdtemp(join(socketParent(), PREFIX));
    return new WorkFolder(sockets, keep ?? sockets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#removeAtExit);
    await rm(this.sockets, { recursive: true, force: true });
  }
}

/** Where folders for temporary files lie, unless a socket's path in one would be too long or need quoting. */
function socketParent(): string {
  const parent = tmpdir();
  return Buffer.byteLength(parent) > MAX_SOCKET_FOLDER_BYTES - PREFIX.length || parent.includes(',') ? '/tmp' : parent;
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
    await access(path, constants.W_OK);
  } catch (cause) {
    throw new UsageError(`Folder '${path}' cannot be used: ${messageOf(cause)}; name another with --keep`, { cause });
  }
}
