/**
 * Taking over while the old primary still runs and writes: two daemons, two disks, 32 writes in flight on each.
 *
 * The replica exports are closed and drained first. What the standby's disks then hold is what the image says, and
 * nothing the old primary does afterwards changes it.
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { EIO } from '../../src/base/errno.ts';
import { QmpError } from '../../src/monitor/protocol/qmp-error.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { DISK_BYTES, faultyDisk, LOAD_BLOCKS, LoadedPair, TRAP_BLOCK, trapRule } from '../support/loaded-pair.ts';
import { assertImageHolds, BLOCK_BYTES, stamped } from '../support/stamped-image.ts';

/** A block that neither the guests nor a trap writes, for the standby. */
const STANDBY_BLOCK = TRAP_BLOCK + 10;

/** The disks of the secondary when it has worked off what was still in its socket as the link ended. */
async function settledImages(loaded: LoadedPair): Promise<readonly Buffer[]> {
  for (let images = await secondaryImages(loaded); ; ) {
    // By now the secondary has had a turn of its event loop.
    await loaded.pair.secondaryReports();
    const later = await secondaryImages(loaded);
    if (later.every((image, index) => image.equals(images[index] as Buffer))) return later;
    images = later;
  }
}

function secondaryImages(loaded: LoadedPair): Promise<readonly Buffer[]> {
  return Promise.all(loaded.pair.disks.map(disk => readFile(disk.secondaryImage)));
}

async function view(loaded: LoadedPair, index: number): Promise<Buffer> {
  await using client = await NbdClient.connect(loaded.pair.disks[index]?.viewUri ?? assert.fail());
  return await client.read(0, DISK_BYTES);
}

/** The standby writes a stamped block to disk `index`. */
async function writeAsStandby(loaded: LoadedPair, index: number, sequence: number): Promise<void> {
  await using client = await NbdClient.connect(loaded.pair.disks[index]?.viewUri ?? assert.fail());
  await client.write(STANDBY_BLOCK * BLOCK_BYTES, stamped(STANDBY_BLOCK, sequence));
}

/** The old primary goes on, and not a byte of the standby's disks changes; then its guests stop. */
async function assertShutOut(loaded: LoadedPair): Promise<void> {
  const taken = await secondaryImages(loaded);
  await loaded.acknowledges(200);
  await loaded.stopLoads();
  for (const [index, image] of (await secondaryImages(loaded)).entries()) {
    assert.ok(image.equals(taken[index] as Buffer), `Disk ${index} changed after the take-over`);
  }
  const replicaUri = loaded.pair.disks[0].viewUri.replace('view0', 'replica0');
  await assert.rejects(NbdClient.connect(replicaUri), /replica0/);
  const reports = await loaded.pair.primaryReports();
  assert.deepEqual(
    reports.map(report => report.state),
    ['degraded', 'degraded'],
  );
}

/** The standby's export is the disk now. */
async function assertStandbyWritesToDisk(loaded: LoadedPair): Promise<void> {
  await writeAsStandby(loaded, 0, 7);
  const at = STANDBY_BLOCK * BLOCK_BYTES;
  const [image] = await secondaryImages(loaded);
  assert.ok(image?.subarray(at, at + BLOCK_BYTES).equals(stamped(STANDBY_BLOCK, 7)));
}

test('image latest has every acknowledged write and none from after the take-over', async () => {
  await using loaded = await LoadedPair.start();
  await loaded.pair.checkpoint();
  await writeAsStandby(loaded, 0, 3);
  await loaded.acknowledges(100);
  const startMs = performance.now();
  await loaded.pair.failOver('latest');
  const endMs = performance.now();
  await assertShutOut(loaded);
  loaded.assertCompleted();
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertSecondaryStoppedAt({ strikeMs: startMs, endedMs: endMs });
  const at = STANDBY_BLOCK * BLOCK_BYTES;
  const [image] = await secondaryImages(loaded);
  assert.ok(image?.subarray(at, at + BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES)), "The standby's write is dropped");
  await assertStandbyWritesToDisk(loaded);
});

test('image checkpoint is the view: the disks at the checkpoint, and what the standby wrote since', async () => {
  await using loaded = await LoadedPair.start();
  const startMs = performance.now();
  await loaded.pair.checkpoint();
  const endMs = performance.now();
  await writeAsStandby(loaded, 0, 3);
  await loaded.acknowledges(100);
  const views = [await view(loaded, 0), await view(loaded, 1)];
  await loaded.pair.failOver('checkpoint');
  for (const [index, image] of (await secondaryImages(loaded)).entries()) {
    const { records } = loaded.loads[index] ?? assert.fail();
    assert.ok(image.equals(views[index] as Buffer), `Disk ${index} is not what its view was`);
    assertImageHolds(image, records, LOAD_BLOCKS, { acknowledgedBy: startMs, submittedBy: endMs });
  }
  await assertShutOut(loaded);
  loaded.assertCompleted();
  const at = STANDBY_BLOCK * BLOCK_BYTES;
  const [image] = await secondaryImages(loaded);
  assert.ok(image?.subarray(at, at + BLOCK_BYTES).equals(stamped(STANDBY_BLOCK, 3)));
  await assertStandbyWritesToDisk(loaded);
});

test('an old primary that was frozen and wakes up after the take-over changes nothing', async () => {
  await using loaded = await LoadedPair.start();
  const frozenMs = performance.now();
  await loaded.pair.primary.kill('SIGSTOP');
  await loaded.pair.failOver('latest');
  const taken = await secondaryImages(loaded);
  await loaded.pair.primary.kill('SIGCONT');
  await loaded.degraded();
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  assert.deepEqual(await secondaryImages(loaded), taken);
  await loaded.assertPrimaryHoldsAll();
  await loaded.assertSecondaryStoppedAt({ strikeMs: frozenMs, endedMs: Number.POSITIVE_INFINITY });
});

test('with on-remote-error=report the writes of the old primary fail', async () => {
  await using loaded = await LoadedPair.start({ replication: { 'on-remote-error': 'report' } });
  const startMs = performance.now();
  await loaded.pair.failOver('latest');
  const endMs = performance.now();
  await Promise.all(loaded.loads.map(load => load.fails(200)));
  await loaded.stopLoads();
  loaded.assertCompleted([0, EIO]);
  await loaded.assertSecondaryStoppedAt({ strikeMs: startMs, endedMs: endMs });
  for (const { records } of loaded.loads) {
    assert.ok(records.every(record => record.errno !== 0 || record.submittedMs <= endMs));
  }
});

test('an image that is not available is refused before anything is closed', async () => {
  await using loaded = await LoadedPair.start({ buffer: { limit: 16 * BLOCK_BYTES } });
  await loaded.pair.secondary.qmp.event('COLO_BUFFER_INVALID');
  await assert.rejects(
    loaded.pair.failOver('checkpoint'),
    (error: unknown) =>
      error instanceof QmpError && /'checkpoint' of node 'buffer\d' is not available/.test(error.message),
  );
  await loaded.acknowledges(100);
  const reports = await loaded.pair.primaryReports();
  assert.ok(reports.every(report => report.state === 'running' && report['dirty-bytes'] === 0));
  await loaded.stopLoads();
});

test('a take-over waits in vain for a write that is stuck, says so, changes nothing and can be tried again', async () => {
  await using loaded = await LoadedPair.start({
    secondaryDisk: (file, index) => faultyDisk(file, index === 0 ? [trapRule({ errno: 0, 'delay-ms': 7000 })] : []),
  });
  const strikeMs = performance.now();
  await loaded.springTrap();
  await loaded.degraded();
  const endedMs = performance.now();
  const before = await settledImages(loaded);
  const startMs = performance.now();
  await assert.rejects(
    loaded.pair.failOver('latest'),
    (error: unknown) => error instanceof QmpError && /'replica0' on node 'disk0' did not return/.test(error.message),
  );
  assert.ok(performance.now() - startMs < 5500);
  for (const report of await loaded.pair.secondaryReports()) {
    assert.equal(report.state, 'running');
    assert.deepEqual([report.images.latest.available, report.images.checkpoint.available], [true, true]);
  }
  assert.deepEqual(await secondaryImages(loaded), before);
  await loaded.pair.failOver('latest');
  await assertShutOut(loaded);
  await loaded.assertSecondaryStoppedAt({ strikeMs, endedMs });
});

for (const way of ['quit', 'SIGTERM'] as const) {
  test(`a daemon that is told to end by ${way} in the middle of a commit finishes the commit first`, async () => {
    await using loaded = await LoadedPair.start();
    await loaded.pair.checkpoint();
    await loaded.acknowledges(500);
    const views = [await view(loaded, 0), await view(loaded, 1)];
    const { secondary, buffers } = loaded.pair;
    // Both commands are in the monitor's socket before the first is carried out.
    const stopped = secondary.qmp.execute('replication-stop', { nodes: buffers, failover: true, image: 'checkpoint' });
    if (way === 'quit') void secondary.qmp.execute('quit');
    await stopped;
    if (way === 'SIGTERM') await secondary.kill('SIGTERM');
    assert.equal((await secondary.ended()).exitCode, 0);
    for (const [index, image] of (await secondaryImages(loaded)).entries()) {
      assert.ok(image.equals(views[index] as Buffer), `Disk ${index} is not what its view was`);
    }
  });
}

test('a secondary whose primary has gone says so of image latest, and of image checkpoint that none was taken', async () => {
  await using loaded = await LoadedPair.start();
  await loaded.acknowledges(100);
  await loaded.pair.primary.kill('SIGKILL');
  // The end of the connection may come behind bytes that are still to be read.
  let [report] = await loaded.pair.secondaryReports();
  const endMs = performance.now() + 5000;
  while (report?.images.latest.reason === undefined && performance.now() < endMs) {
    [report] = await loaded.pair.secondaryReports();
  }
  assert.match(report?.images.latest.reason ?? '', /the primary has gone/);
  assert.match(report?.images.checkpoint.reason ?? '', /no checkpoint was taken yet/);
  assert.deepEqual([report?.images.latest.available, report?.images.checkpoint.available], [true, true]);
});
