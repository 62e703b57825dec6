import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DirtyBitmap } from './dirty-bitmap.ts';

test('a granule is dirty as a whole where any byte of it is', () => {
  const bitmap = new DirtyBitmap(1_000_000);
  bitmap.add(65_535, 2);
  assert.deepEqual(
    [0, 65_536, 131_071, 131_072].map(at => bitmap.has(at)),
    [true, true, true, false],
  );
  assert.equal(bitmap.dirtyBytes, 2 * 65_536);
});

test('an empty range dirties nothing', () => {
  const bitmap = new DirtyBitmap(1_000_000);
  bitmap.add(65_536, 0);
  assert.equal(bitmap.isEmpty, true);
});

test('the union holds what either held', () => {
  const bitmap = new DirtyBitmap(1_000_000);
  const other = new DirtyBitmap(1_000_000);
  bitmap.add(0, 1);
  other.add(0, 1);
  other.add(500_000, 1);
  bitmap.addAll(other);
  assert.equal(bitmap.dirtyBytes, 2 * 65_536);
  assert.equal(bitmap.has(500_000), true);
});

test('clearing leaves nothing dirty', () => {
  const bitmap = new DirtyBitmap(2 ** 50);
  bitmap.add(2 ** 50 - 1, 1);
  bitmap.clear();
  assert.equal(bitmap.isEmpty, true);
});
