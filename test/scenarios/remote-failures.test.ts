/**
 * What must not happen when the copy on the other host fails: two daemons, two disks, 32 writes in flight on each.
 *
 * Whatever the fault, all disks stop forwarding together, every write is acknowledged in time and is on the local disk
 * and recorded dirty, and the secondary holds what was acknowledged before the fault and nothing from after it.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO, ENOSPC } from '../../src/base/errno.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { limitFileSize } from '../support/file-size-limit.ts';
import {
  type Degradation,
  type Fault,
  faultyDisk,
  LoadedPair,
  REQUEST_TIMEOUT_MS,
  TRAP_BLOCK,
  trapRule,
} from '../support/loaded-pair.ts';
import { MonitorProbe } from '../support/monitor-probe.ts';
import { BLOCK_BYTES } from '../support/stamped-image.ts';

/** Lets the fault happen, waits until forwarding has ended and for writes from afterwards, and stops the guests. */
async function strike(loaded: LoadedPair, fault: () => Promise<unknown>): Promise<Fault & Degradation> {
  const beforeMs = performance.now();
  await fault();
  const degradation = await loaded.degraded();
  const endedMs = performance.now();
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  return { ...degradation, strikeMs: Math.min(beforeMs, degradation.sinceMs), endedMs };
}

/** What holds after every fault of the remote copy; the secondary is quiet. */
async function assertOnlyTheMirrorEnded(loaded: LoadedPair, fault: Fault): Promise<void> {
  loaded.assertCompleted();
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertSecondaryStoppedAt(fault);
  await loaded.assertDegraded();
  await loaded.assertRefusesCheckpoint('root0');
}

/** The event that names the first forward that failed. */
async function assertToldOfFailure(loaded: LoadedPair, expected: object): Promise<void> {
  const { data } = await loaded.pair.primary.qmp.event('REPLICATION_ERROR');
  assert.deepEqual({ ...(data as object), ...expected }, data);
}

test('a write that the remote disk fails ends forwarding for all disks', async () => {
  await using loaded = await LoadedPair.start({
    secondaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule()] : []),
  });
  const fault = await strike(loaded, () => loaded.springTrap());
  await assertToldOfFailure(loaded, {
    'node-name': 'root0',
    child: 'link0',
    operation: 'write',
    offset: TRAP_BLOCK * BLOCK_BYTES,
    length: BLOCK_BYTES,
    errno: EIO,
  });
  for (const reason of fault.reasons) assert.match(reason, /link0.*EIO/);
  await loaded.pair.failOver('latest');
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('a full disk of the secondary ends forwarding for all disks', async () => {
  await using loaded = await LoadedPair.start({ place: 'disk' });
  await limitFileSize(loaded.pair.secondary.pid, TRAP_BLOCK * BLOCK_BYTES + 100);
  const fault = await strike(loaded, () => loaded.springTrap());
  await assertToldOfFailure(loaded, { 'node-name': 'root0', child: 'link0', operation: 'write', errno: ENOSPC });
  await loaded.pair.failOver('latest');
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('a frozen secondary delays writes no longer than the deadline, and its late answers change nothing', async () => {
  await using loaded = await LoadedPair.start();
  const { primary, secondary } = loaded.pair;
  await using probe = await MonitorProbe.start(primary.monitorPath);
  const fault = await strike(loaded, () => secondary.kill('SIGSTOP'));
  await probe.assertPrompt();
  await assertToldOfFailure(loaded, { operation: 'write' });
  const before = await loaded.pair.primaryReports();
  await secondary.kill('SIGCONT');
  await loaded.pair.failOver('latest');
  assert.deepEqual(await loaded.pair.primaryReports(), before);
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('a secondary that is killed ends forwarding for all disks', async () => {
  await using loaded = await LoadedPair.start();
  const fault = await strike(loaded, () => loaded.pair.secondary.kill('SIGKILL'));
  await assertToldOfFailure(loaded, { operation: 'write' });
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('a link that is cut in the middle of a write ends forwarding for all disks', async () => {
  await using loaded = await LoadedPair.start({ relayed: true });
  const fault = await strike(loaded, async () => loaded.cutLinkAfter(10 * BLOCK_BYTES + 100));
  await assertToldOfFailure(loaded, { operation: 'write' });
  await loaded.pair.failOver('latest');
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('a sync that fails on the secondary ends forwarding without a flush of the guest, and no later sync succeeds', async () => {
  await using loaded = await LoadedPair.start({
    secondaryDisk: (file, index) => faultyDisk(file, index === 1 ? [{ event: 'flush_to_disk', once: true }] : []),
  });
  const fault = await strike(loaded, async () => {});
  await assertToldOfFailure(loaded, { 'node-name': 'root1', child: 'link1', operation: 'flush', errno: EIO });
  await loaded.pair.secondary.qmp.execute('block-export-add', { type: 'nbd', id: 'again', 'node-name': 'disk1' });
  await using client = await NbdClient.connect(loaded.pair.disks[1]?.viewUri.replace('view1', 'disk1') ?? '');
  await assert.rejects(client.flush(), { errno: EIO });
  await loaded.pair.failOver('latest');
  await assertOnlyTheMirrorEnded(loaded, fault);
});

test('with on-remote-error=report nothing is acknowledged from the first failed forward on', async () => {
  await using loaded = await LoadedPair.start({
    secondaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule()] : []),
    replication: { 'on-remote-error': 'report' },
  });
  await assert.rejects(loaded.springTrap(), { errno: EIO });
  await loaded.degraded();
  const endedMs = performance.now();
  await Promise.all(loaded.loads.map(load => load.fails(100)));
  await loaded.stopLoads();
  loaded.assertCompleted([0, EIO]);
  for (const { records } of loaded.loads) {
    assert.equal(records.filter(record => record.errno === 0 && record.submittedMs > endedMs).length, 0);
  }
  await loaded.pair.failOver('latest');
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertSecondaryStoppedAt({ strikeMs: Number.POSITIVE_INFINITY, endedMs });
  await loaded.assertRefusesCheckpoint('root0');
});

test('with on-remote-error=report a frozen secondary fails writes by the deadline', async () => {
  await using loaded = await LoadedPair.start({ replication: { 'on-remote-error': 'report' } });
  await loaded.pair.secondary.kill('SIGSTOP');
  await loaded.degraded();
  const endedMs = performance.now();
  await Promise.all(loaded.loads.map(load => load.fails(100)));
  await loaded.stopLoads();
  loaded.assertCompleted([0, EIO]);
  await loaded.pair.secondary.kill('SIGCONT');
  await loaded.pair.failOver('latest');
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertSecondaryStoppedAt({ strikeMs: Number.POSITIVE_INFINITY, endedMs });
});

test('a checkpoint that meets a frozen secondary is refused in time and delays no write for longer', async () => {
  await using loaded = await LoadedPair.start();
  const startMs = performance.now();
  await loaded.pair.secondary.kill('SIGSTOP');
  const onPrimary = { nodes: loaded.pair.roots, checkpoint: 1 };
  await assert.rejects(loaded.pair.primary.qmp.execute('replication-checkpoint-prepare', onPrimary), /'root[01]'/);
  assert.ok(performance.now() - startMs < REQUEST_TIMEOUT_MS + 500);
  await loaded.degraded();
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  await loaded.assertPrimaryHoldsAll();
  for (const { records } of loaded.loads) assert.ok(records.every(record => record.errno === 0));
});
