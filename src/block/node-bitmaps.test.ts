import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DiskClient } from '../../test/support/disk-client.ts';
import { HeldNode } from '../../test/support/held-node.ts';
import { UsageError } from '../base/errors.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';
import { ExtentList } from './extent-list.ts';

const GRANULE = 4096;

function extentsOf(bitmap: DirtyBitmap, offset: number, length: number, maxExtents = 100): [number, number][] {
  const extents = new ExtentList();
  bitmap.describe(offset, length, extents, maxExtents);
  return extents.lengths.map((bytes, index) => [bytes, extents.flags[index] as number]);
}

test('what changes data is recorded from when a bitmap is added, by every enabled bitmap', async () => {
  const node = new HeldNode();
  using client = new DiskClient(node);
  await client.submit('write', 0, 512, { buffer: Buffer.alloc(512) });
  const { bitmap } = node.bitmaps.add('b0', GRANULE);
  const off = node.bitmaps.add('off', GRANULE, false);
  await client.submit('write', 2 * GRANULE, 1, { buffer: Buffer.alloc(1) });
  await client.submit('discard', 5 * GRANULE, GRANULE);
  await client.submit('write-zeroes', 8 * GRANULE - 1, 2);
  await client.submit('read', 20 * GRANULE, 512, { buffer: Buffer.alloc(512) });
  assert.deepEqual(extentsOf(bitmap, 0, 16 * GRANULE), [
    [2 * GRANULE, 0],
    [GRANULE, 1],
    [2 * GRANULE, 0],
    [GRANULE, 1],
    [GRANULE, 0],
    [2 * GRANULE, 1],
    [7 * GRANULE, 0],
  ]);
  assert.equal(off.bitmap.isEmpty, true);
  node.bitmaps.remove('b0');
  await client.submit('write', 0, 512, { buffer: Buffer.alloc(512) });
  assert.equal(bitmap.has(0), false);
});

test('a description starts and ends where it is asked to, and has at most so many extents', () => {
  const bitmap = new DirtyBitmap(100 * GRANULE, GRANULE);
  bitmap.add(GRANULE, GRANULE);
  bitmap.add(3 * GRANULE, GRANULE);
  assert.deepEqual(extentsOf(bitmap, 100, GRANULE), [
    [GRANULE - 100, 0],
    [100, 1],
  ]);
  assert.deepEqual(extentsOf(bitmap, 0, 100 * GRANULE, 2), [
    [GRANULE, 0],
    [GRANULE, 1],
  ]);
  assert.deepEqual(extentsOf(bitmap, 3 * GRANULE + 5, 10), [[10, 1]]);
});

test('merging adds what another bitmap of any granularity holds', () => {
  const shift = fc.integer({ min: 9, max: 14 });
  const ranges = fc.array(fc.tuple(fc.nat(99_999), fc.nat(5000)), { maxLength: 5 });
  const size = 105_001;
  fc.assert(
    fc.property(shift, shift, ranges, ranges, (mine, other, own, others) => {
      const target = new DirtyBitmap(size, 2 ** mine);
      const source = new DirtyBitmap(size, 2 ** other);
      const expected = new DirtyBitmap(size, 2 ** mine);
      for (const [offset, length] of own) for (const bitmap of [target, expected]) bitmap.add(offset, length);
      for (const [offset, length] of others) source.add(offset, length);
      for (let offset = 0; offset < size; offset += 512) {
        if (source.has(offset)) expected.add(offset, Math.min(512, size - offset));
      }
      target.merge(source);
      assert.deepEqual(extentsOf(target, 0, size, 1000), extentsOf(expected, 0, size, 1000));
    }),
    { numRuns: 50 },
  );
});

test('names are unique and found, and a bitmap that is used stays', () => {
  const { bitmaps } = new HeldNode();
  const added = bitmaps.add('b0', GRANULE);
  assert.equal(bitmaps.get('b0'), added);
  const says = (text: RegExp) => (error: unknown) => error instanceof UsageError && text.test(error.message);
  assert.throws(() => bitmaps.add('b0', GRANULE), says(/already exists: b0/));
  assert.throws(() => bitmaps.add('', GRANULE), says(/name/));
  assert.throws(() => bitmaps.get('b1'), says(/'b1' not found/));
  added.users = 1;
  assert.throws(() => bitmaps.remove('b0'), says(/in use/));
  added.users = 0;
  bitmaps.remove('b0');
  assert.deepEqual(bitmaps.list(), []);
});
