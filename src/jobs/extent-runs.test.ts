import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ExtentRuns, type Run } from './extent-runs.ts';

const extents = fc.array(fc.record({ length: fc.integer({ min: 1, max: 40 }), isZero: fc.boolean() }), {
  minLength: 1,
  maxLength: 30,
});

test('runs cover the image in order, begin at aligned offsets, and hide no byte of data', () => {
  fc.assert(
    fc.property(extents, fc.constantFrom(1, 2, 8, 16), fc.nat(50), (given, alignment, greed) => {
      // Of each byte the extent of zeroes that it lies in, or -1 for data.
      const image = given.flatMap(({ length, isZero }, index) => Array<number>(length).fill(isZero ? index : -1));
      const runs = new ExtentRuns(image.length, alignment);
      const taken: Run[] = [];
      for (const { length, isZero } of given) {
        runs.append(length, isZero);
        // Some is taken while the rest is still to come.
        for (let run = runs.next; run !== null && taken.length < greed; run = runs.next) {
          taken.push(run);
          runs.take(run.length);
        }
      }
      for (let run = runs.next; run !== null; run = runs.next) {
        taken.push(run);
        runs.take(run.length);
      }
      let at = 0;
      for (const { offset, length, isZero } of taken) {
        assert.equal(offset, at);
        assert.equal(offset % alignment, 0);
        assert.ok(length > 0);
        if (isZero) assert.ok(image.slice(offset, offset + length).every(extent => extent >= 0));
        at += length;
      }
      assert.equal(at, image.length);
      // No more is made data of than alignment needs.
      const zeroes = taken.filter(run => run.isZero).reduce((sum, run) => sum + run.length, 0);
      assert.equal(zeroes, countWhole(image, alignment));
    }),
  );
});

/** Bytes in aligned blocks, the last of which may be short, that lie in one extent of zeroes each. */
function countWhole(image: readonly number[], alignment: number): number {
  let sum = 0;
  for (let at = 0; at < image.length; at += alignment) {
    const block = image.slice(at, at + alignment);
    if (block.every(extent => extent >= 0 && extent === block[0])) sum += block.length;
  }
  return sum;
}

test('a run is taken in parts', () => {
  const runs = new ExtentRuns(100, 1);
  runs.append(60, true);
  runs.append(40, false);
  runs.take(10);
  assert.deepEqual(runs.next, { offset: 10, length: 50, isZero: true });
  runs.take(50);
  assert.deepEqual(runs.next, { offset: 60, length: 40, isZero: false });
  runs.take(40);
  assert.equal(runs.next, null);
});
