import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnflushedMisses } from './unflushed-misses.ts';

const A = 1;
const B = 2;
const C = 4;
const ALL = A | B | C;

test('without misses a flush needs as many children as the threshold says', () => {
  const misses = new UnflushedMisses();
  assert.equal(misses.areCoveredBy(A, ALL, 2), false);
  assert.equal(misses.areCoveredBy(A | C, ALL, 2), true);
});

test('a flush of the children that missed a write covers it not', () => {
  const misses = new UnflushedMisses();
  misses.add(A);
  assert.equal(misses.areCoveredBy(A | B, ALL, 2), false);
  assert.equal(misses.areCoveredBy(B | C, ALL, 2), true);
  assert.equal(misses.areCoveredBy(A, ALL, 1), false);
});

test('a flush that succeeds makes forgotten what was missed before it began, and nothing later', () => {
  const misses = new UnflushedMisses();
  misses.add(A);
  const { position } = misses;
  misses.add(B);
  misses.forget(position);
  assert.equal(misses.areCoveredBy(A, ALL, 1), true);
  assert.equal(misses.areCoveredBy(B, ALL, 1), false);
  misses.add(A);
  const again = misses.position;
  misses.add(A);
  misses.forget(again);
  assert.equal(misses.areCoveredBy(A, ALL, 1), false, 'the same children missed a later write');
});

test('a child that came has none of the writes before', () => {
  const misses = new UnflushedMisses();
  misses.add(A);
  misses.childAdded(C);
  assert.equal(misses.areCoveredBy(C, ALL, 1), false);
  assert.equal(misses.areCoveredBy(A | C, ALL, 1), false);
  assert.equal(misses.areCoveredBy(B, ALL, 1), true);
});

test('a child that is gone is not asked for, not even where nobody else has a write', () => {
  const misses = new UnflushedMisses();
  misses.add(A | B);
  misses.childRemoved(C);
  assert.equal(misses.areCoveredBy(A, A | B, 1), true);
  misses.childRemoved(A);
  misses.childAdded(A);
  assert.equal(misses.areCoveredBy(A, A | B, 1), false);
});
