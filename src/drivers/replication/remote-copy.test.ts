import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO } from '../../base/errno.ts';
import { BlockEdge, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { DirtyBitmap } from '../../block/dirty-bitmap.ts';
import { SimulatedDisk } from '../../sim/simulated-disk.ts';
import { RemoteCopy } from './remote-copy.ts';

const GRANULE = 65_536;

function remoteCopy() {
  const disk = new SimulatedDisk('link', Buffer.alloc(16 * GRANULE));
  const flushErrors: number[] = [];
  const edge = new BlockEdge("node 'root'", 'children.1', disk, WRITE_EXCLUSIVE);
  const copy = new RemoteCopy(edge, 1, (_copy, errno) => flushErrors.push(errno));
  return { copy, disk, flushErrors };
}

test('a flush covers what was acknowledged before it was sent, and nothing later', () => {
  const { copy, disk } = remoteCopy();
  copy.stored(0, GRANULE, 0);
  copy.flushIfDue(1000);
  copy.stored(GRANULE, GRANULE, 1001);
  disk.settle();
  const dirty = new DirtyBitmap(16 * GRANULE);
  copy.lose('the link is cut', dirty);
  assert.equal(dirty.has(0), false);
  assert.equal(dirty.has(GRANULE), true);
});

test('a flush that has not returned covers nothing', () => {
  const { copy, disk } = remoteCopy();
  copy.stored(0, GRANULE, 0);
  copy.flushIfDue(1000);
  assert.equal(disk.waiting.length, 1);
  const dirty = new DirtyBitmap(16 * GRANULE);
  copy.lose('the link is cut', dirty);
  assert.equal(dirty.has(0), true);
});

test('a flush of its own that fails is told', () => {
  const { copy, disk, flushErrors } = remoteCopy();
  copy.stored(0, GRANULE, 0);
  copy.flushIfDue(999);
  assert.equal(disk.waiting.length, 0);
  copy.flushIfDue(1000);
  disk.step(0, EIO);
  assert.deepEqual(flushErrors, [EIO]);
});
