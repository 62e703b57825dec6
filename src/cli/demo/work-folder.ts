/** WorkFolder: where the demo's sockets and images lie; what is not to be kept goes with it. */

import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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

  /** With `keep`, images and journal go into that folder, which is made where it is missing, and stay. */
  static async create(keep: string | null): Promise<WorkFolder> {
    if (keep !== null) await mkdir(keep, { recursive: true });
    const parent = Buffer.byteLength(tmpdir()) <= MAX_SOCKET_FOLDER_BYTES - PREFIX.length ? tmpdir() : '/tmp';
    const sockets = await mkdtemp(join(parent, PREFIX));
    return new WorkFolder(sockets, keep ?? sockets);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#removeAtExit);
    await rm(this.sockets, { recursive: true, force: true });
  }
}
