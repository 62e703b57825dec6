import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WriteLog } from './write-log.ts';

const WRITES = 70_000;

test('each write has the number of the last checkpoint whose cut came before it', () => {
  const log = new WriteLog(16);
  const numbers: number[] = [];
  const append = (count: number): void => {
    for (let i = 0; i < count; i++) log.append(log.length % 16, log.length + 1);
  };
  append(2);
  const first = log.cut();
  append(1);
  log.keep(first);
  log.cut();
  append(2);
  log.keep(log.cut());
  append(WRITES);
  log.forEach(0, log.length, (block, sequence, checkpoint) => {
    assert.equal(block, (sequence - 1) % 16);
    numbers.push(checkpoint);
  });
  assert.equal(numbers.length, 5 + WRITES);
  // The cut of an attempt that was not kept, behind the third write, counts for nothing.
  assert.deepEqual(numbers.slice(0, 7), [0, 0, 1, 1, 1, 2, 2]);
  assert.deepEqual(log.cuts, [2, 5]);
});

test('the content of a cut stays as it was', () => {
  const log = new WriteLog(2);
  log.append(1, 1);
  const cut = log.cut();
  log.append(1, 2);
  assert.deepEqual([...cut.content], [0, 1]);
  assert.deepEqual([...log.content], [0, 2]);
});
