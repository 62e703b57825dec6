/** The primary's host dies under a real guest, and a second guest goes on from the standby's disk. */

import assert from 'node:assert/strict';
import type { FolderPlace } from '../support/temporary-folder.ts';
import { CheckpointLoop } from './checkpoint-loop.ts';
import { assertClean, assertOnlyJournalToReplay } from './file-system.ts';
import type { Guest } from './guest.ts';
import { GuestPair } from './guest-pair.ts';
import { assertFound, expectationOf } from './records.ts';

export type TakeOverOptions = {
  readonly place: FolderPlace;
  /** How many records the guest is acknowledged before its host dies. */
  readonly records: number;
};

/** Checkpoints are taken all the while; image `latest` has every record that was printed. */
export async function takeOverLatest({ place, records }: TakeOverOptions): Promise<string> {
  await using guestPair = await GuestPair.start(place);
  const { pair, guest } = guestPair;
  const checkpoints = CheckpointLoop.start(pair);
  await guest.acknowledges(records);
  const { taken, failure } = checkpoints;
  await guestPair.killPrimaryAndGuest();
  await checkpoints.stop();
  assert.equal(failure, null);
  assert.ok(taken > 0);
  await pair.failOver('latest');
  const expectation = expectationOf(guest.texts());
  await using standby = await guestPair.bootStandby();
  await assertOnlyJournalToReplay(standby);
  await standby.command('mount');
  assertFound(await standby.command('found'), expectation);
  await assertGoesOn(standby, expectation.lastAcknowledged);
  return `${expectation.lastAcknowledged} records, ${taken} checkpoints`;
}

const FROZEN_CHECKPOINTS = 3;

/** The file system is frozen around each checkpoint; image `checkpoint` is clean and is exactly what it was then. */
export async function takeOverCheckpoint({ place, records }: TakeOverOptions): Promise<string> {
  await using guestPair = await GuestPair.start(place);
  const { pair, guest } = guestPair;
  let printed: readonly string[] = [];
  for (let taken = 0; taken < FROZEN_CHECKPOINTS; taken += 1) {
    await guest.acknowledges(Math.ceil(records / FROZEN_CHECKPOINTS));
    await guest.command('freeze');
    printed = guest.texts();
    await pair.checkpoint();
    await guest.command('thaw');
  }
  await guest.acknowledges(16);
  await guestPair.killPrimaryAndGuest();
  await pair.failOver('checkpoint');
  const expectation = expectationOf(printed);
  await using standby = await guestPair.bootStandby();
  await assertClean(standby);
  await standby.command('mount');
  assertFound(await standby.command('found'), expectation);
  await assertGoesOn(standby, expectation.lastAcknowledged);
  return `${expectation.lastAcknowledged} of ${expectationOf(guest.texts()).lastAcknowledged} records`;
}

/** The second guest writes where the first one was cut off, and its file system is whole in the end. */
async function assertGoesOn(standby: Guest, lastAcknowledged: number): Promise<void> {
  const before = standby.lines.length;
  await standby.command(`write ${lastAcknowledged + 100}`);
  await standby.acknowledges(16);
  await standby.command('pause');
  expectationOf(standby.texts().slice(before));
  await standby.command('unmount');
  await assertClean(standby);
}
