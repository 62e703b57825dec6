/** GuestPair: a pair with a real guest that writes records to the replicated disk, and the second guest on the standby. */

import { ColobusPair } from '../support/colobus-pair.ts';
import { type FolderPlace, TemporaryFolder } from '../support/temporary-folder.ts';
import { Guest } from './guest.ts';

export const DISK_BYTES: number = 64 * 1024 ** 2;

export class GuestPair implements AsyncDisposable {
  readonly pair: ColobusPair;
  readonly guest: Guest;
  readonly #folder: TemporaryFolder;

  private constructor(pair: ColobusPair, guest: Guest, folder: TemporaryFolder) {
    this.pair = pair;
    this.guest = guest;
    this.#folder = folder;
  }

  /** The guest has made a file system and is writing records into it, from 1 on. */
  static async start(place: FolderPlace): Promise<GuestPair> {
    const folder = await TemporaryFolder.create(place);
    let pair: ColobusPair | null = null;
    try {
      pair = await ColobusPair.start({ directory: folder.path, sizeBytes: DISK_BYTES });
      return new GuestPair(pair, await startWriting(pair.disks[0].rootUri), folder);
    } catch (error) {
      await pair?.[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A power cut of the first host: its daemon and the guest die in one instant. */
  async killPrimaryAndGuest(): Promise<void> {
    await Promise.all([this.pair.killPrimary(), this.guest.kill()]);
  }

  /** The standby serves its disk without the buffer, as README.md has it; a guest is booted on it. */
  async bootStandby(): Promise<Guest> {
    const { qmp } = this.pair.secondary;
    await qmp.execute('block-export-del', { id: 'view0' });
    await qmp.execute('blockdev-del', { 'node-name': 'buffer0' });
    const names = { id: 'root0', 'node-name': 'disk0', name: 'root0' };
    await qmp.execute('block-export-add', { type: 'nbd', ...names, writable: true });
    return await Guest.boot({ diskUri: this.pair.disks[0].viewUri.replace('view0', 'root0') });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest[Symbol.asyncDispose]();
    await this.pair[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** A guest on the disk at `diskUri` that has made a file system there and is writing records, from 1 on. */
export async function startWriting(diskUri: string): Promise<Guest> {
  const guest = await Guest.boot({ diskUri });
  try {
    await guest.command('make');
    await guest.command('write 1');
    return guest;
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
}
