/** What dies beside a real guest, which goes on after a pause: its secondary, and its own daemon. */

import assert from 'node:assert/strict';
import type { FolderPlace } from '../support/temporary-folder.ts';
import { assertClean } from './file-system.ts';
import type { Guest } from './guest.ts';
import { startWriting } from './guest-pair.ts';
import { assertFound, expectationOf } from './records.ts';
import { FLUSH_TIMEOUT_MS, RestartedHosts } from './restarted-hosts.ts';

/** Beside the pause itself: what an emulated guest takes for a record on a busy machine. */
const RECORD_MS = 9000;
/** A daemon's start, or two and a copy of the disk, and as long again until QEMU tries once more to connect. */
const RESTART_MS = 30_000;

export type SurvivalOptions = {
  readonly place: FolderPlace;
  /** How many records the guest is acknowledged after each fault. */
  readonly records: number;
};

/** Secondary frozen, pair set up again, secondary killed, primary alone; the disk has every record in the end. */
export async function survives({ place, records }: SurvivalOptions): Promise<string> {
  await using hosts = await RestartedHosts.start(place);
  await using guest = await startWriting(hosts.diskUri);
  await guest.acknowledges(records);
  const pauses: string[] = [];
  const goesOnAfter = async (what: string, limitMs: number, fault: () => Promise<void>): Promise<void> => {
    const pauseMs = await pauseBy(guest, records, fault);
    pauses.push(`${what} ${Math.round(pauseMs)} ms`);
    assert.ok(pauseMs <= limitMs, `${what}: the guest paused for ${pauseMs} ms; ${limitMs} are allowed`);
  };
  const replicates = async (): Promise<void> => {
    assert.equal(await hosts.state(), 'running');
    await hosts.checkpoint();
  };
  await replicates();
  await goesOnAfter('secondary frozen', FLUSH_TIMEOUT_MS + RECORD_MS, () => hosts.secondary.kill('SIGSTOP'));
  assert.equal(await hosts.state(), 'degraded');
  await goesOnAfter('pair set up again', RESTART_MS + RECORD_MS, async () => {
    await hosts.killSecondary();
    await hosts.killPrimary();
    await hosts.copyDisk();
    await hosts.startPair();
  });
  await replicates();
  await goesOnAfter('secondary killed', FLUSH_TIMEOUT_MS + RECORD_MS, () => hosts.killSecondary());
  assert.equal(await hosts.state(), 'degraded');
  await goesOnAfter('own daemon restarted', RESTART_MS + RECORD_MS, async () => {
    await hosts.killPrimary();
    await hosts.startAlone();
  });
  await guest.command('pause');
  const expectation = expectationOf(guest.texts());
  await guest.command('unmount');
  await assertClean(guest);
  await guest.command('mount');
  assertFound(await guest.command('found'), expectation);
  return `${expectation.lastAcknowledged} records; ${pauses.join(', ')}`;
}

/** The longest time without an acknowledged record, from the last before the fault to the `records`-th after it. */
async function pauseBy(guest: Guest, records: number, fault: () => Promise<void>): Promise<number> {
  const before = guest.lines.length;
  await fault();
  await guest.acknowledges(records);
  const lastBefore = guest.lines.slice(0, before).findLast(line => line.text.startsWith('ack '));
  const after = guest.lines.slice(before).filter(line => line.text.startsWith('ack '));
  let longestMs = 0;
  let previousMs = lastBefore?.atMs ?? assert.fail('No record was acknowledged before the fault');
  for (const { atMs } of after) {
    longestMs = Math.max(longestMs, atMs - previousMs);
    previousMs = atMs;
  }
  return longestMs;
}
