import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import { RangeCoverage } from './range-coverage.ts';

const LENGTH = 40;

test('coverage agrees with a set of bytes, whatever the order and size of the ranges', () => {
  const range = fc.tuple(fc.nat(LENGTH - 1), fc.integer({ min: 1, max: 8 }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), ranges => {
      const coverage = new RangeCoverage();
      const bytes = new Set<number>();
      for (const [start, length] of ranges) {
        const end = Math.min(start + length, LENGTH);
        const added = Array.from({ length: end - start }, (_, index) => start + index);
        if (added.some(byte => bytes.has(byte))) {
          assert.throws(() => coverage.add(start, end), ProtocolError);
          return;
        }
        coverage.add(start, end);
        for (const byte of added) bytes.add(byte);
        assert.equal(coverage.isComplete(LENGTH), bytes.size === LENGTH);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a range that came in any order of its bytes is complete', () => {
  const order = fc.shuffledSubarray(
    Array.from({ length: LENGTH }, (_, index) => index),
    { minLength: LENGTH },
  );
  fc.assert(
    fc.property(order, bytes => {
      const coverage = new RangeCoverage();
      for (const byte of bytes) {
        assert.equal(coverage.isComplete(LENGTH), false);
        coverage.add(byte, byte + 1);
      }
      assert.equal(coverage.isComplete(LENGTH), true);
    }),
  );
});

test('a reply in more fragments than any honest one is refused', () => {
  const coverage = new RangeCoverage();
  assert.throws(() => {
    for (let start = 1; start < 100_000; start += 2) coverage.add(start, start + 1);
  }, ProtocolError);
});
