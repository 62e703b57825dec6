import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { EIO, ENOSPC, ESHUTDOWN, ETIMEDOUT } from '../base/errno.ts';
import { type EdgePermissions, READ_SHARED, WRITE_EXCLUSIVE } from './block-edge.ts';
import { BlockNode } from './block-node.ts';
import { type BlockRequest, releaseRequest, takeRequest } from './block-request.ts';
import { drainRoots, rootsAbove } from './drain.ts';

const WRITE_SHARED: EdgePermissions = { write: true, shareWrite: true };

/** A disk whose requests end when the test says so. */
class HoldingNode extends BlockNode {
  readonly pending: BlockRequest[] = [];

  constructor() {
    super({ name: 'disk', driver: 'holding', lengthBytes: 4096, readOnly: false });
  }

  protected override perform(request: BlockRequest): void {
    this.pending.push(request);
  }

  endAll(): void {
    for (const request of this.pending.splice(0)) request.complete(0);
  }
}

test('while a root is held its requests wait and none reaches the graph; afterwards they go in order', async () => {
  const node = new HoldingNode();
  using disk = new DiskClient(node);
  disk.backend.hold();
  disk.backend.hold();
  const answers = [disk.submit('read', 0, 1), disk.submit('write', 1, 1)];
  disk.backend.unhold();
  assert.equal(node.pending.length, 0);
  disk.backend.unhold();
  assert.deepEqual(
    node.pending.map(request => request.kind),
    ['read', 'write'],
  );
  node.endAll();
  assert.deepEqual(await Promise.all(answers), [0, 0]);
});

test('a closed root refuses new and held requests, and what is in flight ends as it does', async () => {
  const node = new HoldingNode();
  using disk = new DiskClient(node);
  const inFlight = disk.submit('write', 0, 1);
  disk.backend.hold();
  const held = disk.submit('write', 0, 1);
  disk.backend.close();
  assert.equal(await held, ESHUTDOWN);
  assert.equal(await disk.submit('read', 0, 1), ESHUTDOWN);
  assert.equal(disk.backend.inFlight, 1);
  node.endAll();
  assert.equal(await inFlight, 0);
  await disk.backend.idle();
});

test('a root counts the requests that change data since a writer began', async () => {
  const node = new HoldingNode();
  using disk = new DiskClient(node);
  const answers = (['write', 'read', 'discard', 'write-zeroes', 'flush'] as const).map(kind => disk.submit(kind, 0, 1));
  assert.equal(disk.backend.changes, 3);
  disk.backend.beginWriting();
  assert.equal(disk.backend.changes, 0);
  node.endAll();
  await Promise.all(answers);
});

test('a root remembers the first change of its writer that failed, and that the writer is gone', async () => {
  const node = new HoldingNode();
  using disk = new DiskClient(node);
  const { backend } = disk;
  assert.equal(backend.hasLostWriter, false);
  backend.beginWriting();
  const answers = (['read', 'write', 'discard'] as const).map(kind => disk.submit(kind, 0, 1));
  for (const [index, errno] of [EIO, ENOSPC, EIO].entries()) node.pending[index]?.complete(errno);
  await Promise.all(answers);
  assert.equal(backend.changeErrno, ENOSPC);
  assert.equal(backend.hasLostWriter, false);
  backend.endWriting(true);
  assert.deepEqual([backend.hasLostWriter, backend.lostWriters], [true, 0]);
  backend.beginWriting();
  assert.deepEqual([backend.changeErrno, backend.hasLostWriter], [0, false]);
  backend.endWriting(false);
  assert.deepEqual([backend.hasLostWriter, backend.lostWriters], [true, 1]);
});

test('a drain ends when all roots above the node are idle, and holds new requests until it is released', async () => {
  const node = new HoldingNode();
  using writer = new DiskClient(node, WRITE_EXCLUSIVE, 'writer');
  using reader = new DiskClient(node, READ_SHARED, 'reader');
  const answers = [writer.submit('write', 0, 1), reader.submit('read', 0, 1)];
  const drained = drainRoots(() => rootsAbove(node), 1000, new ManualClock());
  const later = writer.submit('write', 0, 1);
  assert.equal(node.pending.length, 2);
  node.endAll();
  const release = await drained;
  assert.deepEqual(await Promise.all(answers), [0, 0]);
  assert.equal(node.pending.length, 0);
  release();
  node.endAll();
  assert.equal(await later, 0);
});

test('a drain that takes too long fails by its deadline, and nothing stays held', async () => {
  const node = new HoldingNode();
  const clock = new ManualClock();
  using disk = new DiskClient(node, WRITE_EXCLUSIVE, "export 'root'");
  const stuck = disk.submit('write', 0, 1);
  const drained = drainRoots(() => rootsAbove(node), 1000, clock);
  clock.advance(1000);
  await assert.rejects(drained, {
    errno: ETIMEDOUT,
    message: /Requests of export 'root' on node 'disk' did not return within 1000 ms/,
  });
  const next = disk.submit('read', 0, 1);
  assert.equal(node.pending.length, 2);
  node.endAll();
  assert.deepEqual(await Promise.all([stuck, next]), [0, 0]);
});

test('a drain holds a root that comes meanwhile, and waits again for one that has become busy', async () => {
  const node = new HoldingNode();
  using writer = new DiskClient(node, WRITE_SHARED, 'writer');
  using job = new DiskClient(node, WRITE_SHARED, 'job');
  const write = writer.submit('write', 0, 1);
  let isDrained = false;
  const drained = drainRoots(() => rootsAbove(node), 1000, new ManualClock()).then(release => {
    isDrained = true;
    return release;
  });
  using late = new DiskClient(node, WRITE_SHARED, 'late');
  const lateWrite = late.submit('write', 0, 1);
  job.backend.beginWork();
  node.pending.shift()?.complete(0);
  await new Promise(resolve => setImmediate(resolve));
  assert.deepEqual([isDrained, late.backend.isHeld], [false, true]);
  node.endAll();
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(isDrained, false);
  job.backend.endWork();
  (await drained)();
  assert.deepEqual(await Promise.all([write, lateWrite]), [0, 0]);
});

test('work of several requests goes on while its root is held, and a drain waits for all of it', async () => {
  const node = new HoldingNode();
  const clock = new ManualClock();
  using disk = new DiskClient(node);
  disk.backend.beginWork();
  let isDrained = false;
  const drained = drainRoots(() => [disk.backend], 1000, clock).then(release => {
    isDrained = true;
    return release;
  });
  const request = takeRequest('write', { requestDone: done => releaseRequest(done) });
  request.length = 1;
  disk.backend.submitInWork(request);
  assert.equal(node.pending.length, 1);
  node.endAll();
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(isDrained, false);
  disk.backend.endWork();
  const release = await drained;
  assert.ok(disk.backend.isHeld);
  let released = 0;
  disk.backend.onRelease(() => {
    released += 1;
  });
  release();
  assert.deepEqual([released, disk.backend.isHeld], [1, false]);
  disk.backend.hold();
  disk.backend.unhold();
  assert.equal(released, 1);
});
