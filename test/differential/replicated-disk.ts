/** ReplicatedDisk: what the differential test asks of a pair, whoever made it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ColobusPair } from '../support/colobus-pair.ts';
import { QemuPair } from '../support/qemu-pair.ts';
import type { Side } from './sequence.ts';

export interface ReplicatedDisk extends AsyncDisposable {
  readonly name: string;
  readonly clients: Readonly<Record<Side, NbdClient>>;
  /** Call it with no write in flight. */
  checkpoint(): Promise<void>;
  /** Takes over with the checkpoint image; resolves when it is committed. */
  failOver(): Promise<void>;
  /** The secondary's image file as it is now. */
  readSecondary(): Promise<Buffer>;
}

/** Starts QEMU's pair on a disk of zeroes; `directory` exists and is the caller's to remove. */
export async function startQemuDisk(directory: string, sizeBytes: number): Promise<ReplicatedDisk> {
  const pair = await QemuPair.start({ directory: join(directory, 'qemu'), sizeBytes, link: 'unix' });
  return await connect(pair, pair.primaryUri, pair.viewUri, {
    name: 'QEMU',
    checkpoint: async () => void (await pair.checkpoint()),
    failOver: async () => void (await pair.failover()),
    readSecondary: () => readFile(pair.images.secondary),
  });
}

/** Starts two Colobus daemons on a disk of zeroes; `directory` exists and is the caller's to remove. */
export async function startColobusDisk(directory: string, sizeBytes: number): Promise<ReplicatedDisk> {
  const pair = await ColobusPair.start({ directory, sizeBytes });
  const [disk] = pair.disks;
  return await connect(pair, disk.rootUri, disk.viewUri, {
    name: 'Colobus',
    checkpoint: async () => void (await pair.checkpoint()),
    failOver: () => pair.failOver('checkpoint'),
    readSecondary: () => readFile(disk.secondaryImage),
  });
}

type Actions = Pick<ReplicatedDisk, 'name' | 'checkpoint' | 'failOver' | 'readSecondary'>;

async function connect(
  pair: AsyncDisposable,
  primaryUri: string,
  viewUri: string,
  actions: Actions,
): Promise<ReplicatedDisk> {
  const open: NbdClient[] = [];
  const dispose = async () => {
    await Promise.allSettled(open.map(client => client.close()));
    await pair[Symbol.asyncDispose]();
  };
  try {
    const primary = await NbdClient.connect(primaryUri);
    open.push(primary);
    const standby = await NbdClient.connect(viewUri);
    open.push(standby);
    return { ...actions, clients: { primary, standby }, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
