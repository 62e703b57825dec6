/** Runs one random sequence on two Colobus daemons, on QEMU's pair and on the model, and compares all they show. */

import { ColobusError, messageOf } from '../../src/base/errors.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { DiskModel } from './disk-model.ts';
import { type ReplicatedDisk, startColobusDisk, startQemuDisk } from './replicated-disk.ts';
import { describeSequence, randomSequence, type Step, type Write } from './sequence.ts';

const READ_BYTES = 1024 * 1024;

/** `without-qemu`, the primary's writes have any alignment (see sequence.ts). */
export type Company = 'with-qemu' | 'without-qemu';

/** Throws, with the whole sequence in the message, where the disks are not equal byte for byte. */
export async function runSequence(seed: number, company: Company): Promise<void> {
  const sequence = randomSequence(seed, company === 'with-qemu' ? 512 : 1);
  await using folder = await TemporaryFolder.create('memory');
  const disks: ReplicatedDisk[] = [];
  let at = 0;
  try {
    await startDisks(folder.path, sequence.sizeBytes, company, disks);
    const model = new DiskModel(sequence.sizeBytes);
    for (const [index, step] of sequence.steps.entries()) {
      at = index;
      await Promise.all(disks.map(disk => perform(disk, step)));
      applyToModel(model, step);
      if (step.kind === 'compare') for (const disk of disks) await compare(disk, model);
    }
  } catch (error) {
    throw new ColobusError(`At step ${at}: ${messageOf(error)}\n${describeSequence(sequence)}`, { cause: error });
  } finally {
    await Promise.all(disks.map(disk => disk[Symbol.asyncDispose]()));
  }
}

/** Adds to `disks` what started, also where the other one did not. */
async function startDisks(
  directory: string,
  sizeBytes: number,
  company: Company,
  disks: ReplicatedDisk[],
): Promise<void> {
  const starts = [startColobusDisk(directory, sizeBytes)];
  if (company === 'with-qemu') starts.push(startQemuDisk(directory, sizeBytes));
  const results = await Promise.allSettled(starts);
  for (const result of results) if (result.status === 'fulfilled') disks.push(result.value);
  await Promise.all(starts);
}

async function perform(disk: ReplicatedDisk, step: Step): Promise<void> {
  if (step.kind === 'write') await Promise.all(step.writes.map(write => send(disk, write)));
  else if (step.kind === 'checkpoint') await disk.checkpoint();
  else if (step.kind === 'failover') await disk.failOver();
}

async function send(disk: ReplicatedDisk, { side, offset, length, data }: Write): Promise<void> {
  const client = disk.clients[side];
  if (data === null) await client.writeZeroes(offset, length);
  else await client.write(offset, data);
}

function applyToModel(model: DiskModel, step: Step): void {
  if (step.kind === 'write') for (const write of step.writes) model.write(write);
  else if (step.kind === 'checkpoint') model.checkpoint();
  else if (step.kind === 'failover') model.failOver();
}

/** Equal to the model, for each of the two disks, is equal to each other, and says which of them is wrong. */
async function compare(disk: ReplicatedDisk, model: DiskModel): Promise<void> {
  const { primary, standby } = disk.clients;
  refuseDifference(`the primary's disk of ${disk.name}`, await readAll(primary), model.primary);
  refuseDifference(`the standby's view of ${disk.name}`, await readAll(standby), model.view);
  refuseDifference(`the raw secondary disk of ${disk.name}`, await disk.readSecondary(), model.secondary);
}

async function readAll(client: ReplicatedDisk['clients']['primary']): Promise<Buffer> {
  const pieces: Promise<Buffer>[] = [];
  for (let offset = 0; offset < client.sizeBytes; offset += READ_BYTES) {
    pieces.push(client.read(offset, Math.min(READ_BYTES, client.sizeBytes - offset)));
  }
  return Buffer.concat(await Promise.all(pieces));
}

function refuseDifference(what: string, actual: Buffer, expected: Buffer): void {
  if (actual.length !== expected.length) {
    throw new ColobusError(`${what} has ${actual.length} bytes instead of ${expected.length}`);
  }
  if (actual.equals(expected)) return;
  const offset = actual.findIndex((byte, index) => byte !== expected[index]);
  throw new ColobusError(`${what} differs first at byte ${offset}: ${actual[offset]} instead of ${expected[offset]}`);
}
