import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SparseBitmap } from './sparse-bitmap.ts';

/** Numbers that fall on both sides of the pages' borders, and far away. */
const number = fc.oneof(
  fc.nat(100),
  fc.integer({ min: 32_760, max: 32_780 }),
  fc.integer({ min: 2 ** 40, max: 2 ** 40 + 64 }),
);

test('any sequence of adds and deletes behaves like a set of numbers, in ascending order', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ number, add: fc.boolean() })), changes => {
      const bitmap = new SparseBitmap();
      const model = new Set<number>();
      for (const { number, add } of changes) {
        if (add) bitmap.add(number);
        else bitmap.delete(number);
        if (add) model.add(number);
        else model.delete(number);
        assert.equal(bitmap.has(number), add);
      }
      assert.equal(bitmap.count, model.size);
      assert.deepEqual(
        [...bitmap.values()],
        [...model].sort((a, b) => a - b),
      );
    }),
  );
});

test('ranges behave like the numbers in them, and runs end where membership changes', () => {
  const range = fc.record({ first: number, length: fc.nat(70_000) });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), number, fc.nat(100_000), (ranges, from, length) => {
      const bitmap = new SparseBitmap();
      const model = new SparseBitmap();
      for (const { first, length: numbers } of ranges) {
        bitmap.addRange(first, first + numbers);
        for (let at = first; at < first + numbers; at++) model.add(at);
      }
      assert.equal(bitmap.count, model.count);
      let end = from;
      while (end < from + length && model.has(end) === model.has(from)) end++;
      assert.equal(bitmap.runEnd(from, from + length), end);
      assert.deepEqual(bitmap, model);
    }),
    { numRuns: 30 },
  );
});

test('clearing leaves nothing', () => {
  const bitmap = new SparseBitmap();
  bitmap.add(31);
  bitmap.add(2 ** 41);
  bitmap.clear();
  assert.equal(bitmap.count, 0);
  assert.equal(bitmap.has(31), false);
  assert.deepEqual([...bitmap.values()], []);
});
