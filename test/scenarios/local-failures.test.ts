/**
 * What must not happen when the primary's own disk fails: two daemons, two disks, 32 writes in flight on each.
 *
 * The guest is told of every write that its own disk does not have, in time; the status names the disk, the other copy
 * goes on receiving what is stored, and no checkpoint vouches for a write that one copy lacks.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EFBIG, EIO, ENOSPC } from '../../src/base/errno.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { limitFileSize } from '../support/file-size-limit.ts';
import {
  faultyDisk,
  LOAD_BLOCKS,
  LoadedPair,
  REQUEST_TIMEOUT_MS,
  TRAP_BLOCK,
  trapRule,
} from '../support/loaded-pair.ts';
import { MonitorProbe } from '../support/monitor-probe.ts';
import { assertHolds, BLOCK_BYTES } from '../support/stamped-image.ts';

/** Springs the trap, which fails with `errno`, in the midst of the guests' writes; then stops the guests. */
async function spring(loaded: LoadedPair, errno: number): Promise<void> {
  await assert.rejects(loaded.springTrap(), { errno });
  await loaded.acknowledges(100);
  await loaded.stopLoads();
}

/** The local disk failed one write and stored the others, the secondary stored all; both say so. */
async function assertOneWriteFailed(loaded: LoadedPair, errno: number): Promise<void> {
  loaded.assertCompleted();
  await loaded.assertPrimaryHoldsAll();
  await assertSecondaryHoldsAll(loaded);
  const { data } = await loaded.pair.primary.qmp.event('REPLICATION_ERROR');
  assert.deepEqual(data, {
    'node-name': 'root0',
    child: 'disk0',
    operation: 'write',
    offset: TRAP_BLOCK * BLOCK_BYTES,
    length: BLOCK_BYTES,
    errno,
  });
  const [failed, other] = await loaded.pair.primaryReports();
  assert.equal(failed?.state, 'running');
  assert.equal(failed.children[0]?.['node-name'], 'disk0');
  assert.equal(failed.children[0].state, 'failed');
  assert.match(failed.children[0].error ?? '', /write of 4096 bytes/);
  assert.equal(failed.children[1]?.state, 'ok');
  assert.ok(failed['dirty-bytes'] > 0);
  assert.equal(other?.state, 'running');
  assert.equal(other['dirty-bytes'], 0);
  await loaded.assertRefusesCheckpoint('root0');
}

async function assertSecondaryHoldsAll(loaded: LoadedPair): Promise<void> {
  for (const [index, { secondaryImage }] of loaded.pair.disks.entries()) {
    await assertHolds(secondaryImage, loaded.loads[index]?.records ?? assert.fail(), LOAD_BLOCKS);
  }
}

test('a write that the local disk fails is reported to the guest, and no checkpoint vouches for it', async () => {
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule({ once: true })] : []),
  });
  await spring(loaded, EIO);
  await assertOneWriteFailed(loaded, EIO);
});

test('a write for which the local disk has no room is reported as ENOSPC, even if part of it was stored', async () => {
  await using loaded = await LoadedPair.start({ place: 'disk' });
  await limitFileSize(loaded.pair.primary.pid, TRAP_BLOCK * BLOCK_BYTES + 100);
  await spring(loaded, ENOSPC);
  await assertOneWriteFailed(loaded, EFBIG);
});

test('a write that neither disk can store is not acknowledged', async () => {
  const rules = (index: number): object[] => (index === 0 ? [trapRule()] : []);
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, rules(index)),
    secondaryDisk: (file, index) => faultyDisk(file, rules(index)),
  });
  await assert.rejects(loaded.springTrap(), { errno: EIO });
  await loaded.degraded();
  await assert.rejects(loaded.springTrap(), { errno: EIO });
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  loaded.assertCompleted();
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertRefusesCheckpoint('root0');
});

test('after the secondary is gone a write that the local disk fails is not acknowledged', async () => {
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule()] : []),
  });
  await loaded.pair.secondary.kill('SIGKILL');
  await loaded.degraded();
  await spring(loaded, EIO);
  loaded.assertCompleted();
  await loaded.assertPrimaryHoldsAll();
});

test('a local sync that fails is never followed by a flush that succeeds', async () => {
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, index === 0 ? [{ event: 'flush_to_disk', once: true }] : []),
  });
  await using guest = await NbdClient.connect(loaded.pair.disks[0].rootUri);
  await using second = await NbdClient.connect(loaded.pair.disks[0].rootUri);
  await assert.rejects(guest.flush(), { errno: EIO });
  await Promise.all([guest, second].map(client => assert.rejects(client.flush(), { errno: EIO })));
  await assert.rejects(guest.write(TRAP_BLOCK * BLOCK_BYTES, Buffer.alloc(BLOCK_BYTES, 1), { fua: true }), {
    errno: EIO,
  });
  await loaded.loads[1]?.acknowledges(100);
  await loaded.stopLoads();
  loaded.assertCompleted([0, EIO]);
  await loaded.assertPrimaryHoldsAll();
  const [failed] = await loaded.pair.primaryReports();
  assert.equal(failed?.children[0]?.state, 'failed');
  assert.equal(failed.children[1]?.state, 'ok');
  await loaded.assertRefusesCheckpoint('root0');
});

test('no checkpoint is taken once the local disk has failed a sync, though no write is missing anywhere', async () => {
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, index === 0 ? [{ event: 'flush_to_disk' }] : []),
  });
  await loaded.stopLoads();
  await using guest = await NbdClient.connect(loaded.pair.disks[0].rootUri);
  await assert.rejects(guest.flush(), { errno: EIO });
  await loaded.assertRefusesCheckpoint('root0');
});

test('a local disk that does not answer costs its write the deadline and nobody else anything', async () => {
  await using loaded = await LoadedPair.start({
    primaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule({ errno: 0, 'delay-ms': 10_000 })] : []),
  });
  await using probe = await MonitorProbe.start(loaded.pair.primary.monitorPath);
  const startMs = performance.now();
  // The second waits for the first, which it overlaps.
  await Promise.all([1, 2].map(() => assert.rejects(loaded.springTrap(), { errno: EIO })));
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs <= REQUEST_TIMEOUT_MS + 500, `The writes took ${tookMs} ms`);
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  await probe.assertPrompt();
  await assertOneWriteFailed(loaded, EIO);
});
