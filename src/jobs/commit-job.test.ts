import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { ConsistencyGroup } from '../block/consistency-group.ts';
import { whileDrained } from '../block/drain.ts';
import { coloBufferDriver } from '../drivers/colo-buffer/colo-buffer-driver.ts';
import { drivers } from '../drivers/index.ts';
import { ThrottleGroup } from '../drivers/throttle/throttle-group.ts';
import { SimulatedDisk, simulatedDriver } from '../sim/simulated-disk.ts';
import { startCommitJob } from './commit-job.ts';
import { JobList } from './job-list.ts';

const CHUNK = 65_536;
const CHUNKS = 8;
const DISK = { driver: 'throttle', 'node-name': 'disk', file: { driver: 'memory', size: 2 * CHUNKS * CHUNK } };

/** Lets all that can go on now do so. */
async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve));
}

test('a drain of the disk holds the pieces of a commit, also where its limits are in the way', async () => {
  const clock = new ManualClock();
  const groups = new Map([
    ['none', new ThrottleGroup('none', {}, clock)],
    ['slow', new ThrottleGroup('slow', { 'iops-total': 1 }, clock)],
  ]);
  await using graph = new BlockGraph({ drivers, clock, findObject: id => groups.get(id) });
  const disk = await graph.add({ ...DISK, 'throttle-group': 'none' });
  const buffer = await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
  const primary = new DiskClient(disk, undefined, "export 'replica'");
  const group = ConsistencyGroup.start([buffer], clock, () => {});
  // Every other chunk, so that each is a piece of its own.
  const writes = Array.from({ length: CHUNKS }, (_, i) => primary.write(2 * i * CHUNK, Buffer.alloc(CHUNK, 9)));
  await Promise.all(writes);
  primary[Symbol.dispose]();
  group.stop('checkpoint');
  await graph.reopen([{ ...DISK, 'throttle-group': 'slow' }]);
  const job = startCommitJob(new JobList(clock), buffer);
  await settled();
  assert.equal(job.status, 'running', 'a piece waits for the limits');
  await whileDrained(disk, clock, async () => {
    await settled();
    const { currentProgress } = job.info;
    assert.ok(currentProgress < CHUNKS * CHUNK);
    await settled();
    assert.equal(job.info.currentProgress, currentProgress);
  });
  await settled();
  assert.equal(job.status, 'running', 'the next piece waits for the limits');
  await graph.reopen([{ ...DISK, 'throttle-group': 'none' }]);
  await job.ended;
  assert.equal(job.info.error, undefined);
  assert.deepEqual([...buffer.parents], []);
  using standby = new DiskClient(buffer);
  assert.deepEqual(await standby.read(0, 2 * CHUNKS * CHUNK), Buffer.alloc(2 * CHUNKS * CHUNK));
});

test('a drain of the disk waits for the piece of a commit that is under way', async () => {
  const clock = new ManualClock();
  const disks = new Map([['disk', Buffer.alloc(CHUNK)]]);
  await using graph = new BlockGraph({ drivers: [simulatedDriver(disks), coloBufferDriver], clock });
  const disk = await graph.add({ driver: 'simulated', 'node-name': 'disk' });
  assert.ok(disk instanceof SimulatedDisk);
  const buffer = await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
  const primary = new DiskClient(disk, undefined, "export 'replica'");
  const group = ConsistencyGroup.start([buffer], clock, () => {});
  const write = primary.write(0, Buffer.alloc(CHUNK, 9));
  disk.settle();
  await write;
  primary[Symbol.dispose]();
  group.stop('checkpoint');
  const job = startCommitJob(new JobList(clock), buffer);
  await settled();
  assert.equal(disk.waiting.length, 1);
  const drained = whileDrained(disk, clock, () => assert.equal(disk.waiting.length, 0));
  await settled();
  disk.settle();
  await drained;
  await settled();
  disk.settle();
  await job.ended;
  assert.equal(job.info.error, undefined);
});
