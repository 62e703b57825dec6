import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertFound, expectationOf } from './records.ts';

const SAID = ['ready', 'ack 1', 'ack 2', 'ack 3', 'cut 3', 'was-cut 3', 'done freeze 0', 'ack 4', 'cut 4'];

for (const { what, found } of [
  { what: 'all that was acknowledged and not cut off', found: ['found log.1 1', 'found log.2 2'] },
  { what: 'a record that was about to be cut off', found: ['found log.1 1', 'found log.2 2', 'found log.0 4'] },
  { what: 'a record whose acknowledgement was not heard', found: ['found log.1 1', 'found log.2 2', 'found log.1 5'] },
]) {
  test(`a disk may hold ${what}`, () => {
    assertFound(found, expectationOf(SAID));
  });
}

for (const { what, found, complaint } of [
  {
    what: 'lacks an acknowledged record',
    found: ['found log.1 1'],
    complaint: /1 of 2 acknowledged records are missing/,
  },
  {
    what: 'has what was cut off',
    found: ['found log.1 1', 'found log.2 2', 'found log.3 3'],
    complaint: /3 was cut off/,
  },
  {
    what: 'has a record twice',
    found: ['found log.1 1', 'found log.2 2', 'found log.3 1'],
    complaint: /1 is there twice/,
  },
  {
    what: 'has what was written later',
    found: ['found log.1 1', 'found log.2 2', 'found log.2 6'],
    complaint: /acknowledged is 4/,
  },
  { what: 'has records out of order', found: ['found log.1 2', 'found log.1 1'], complaint: /holds record 1 after 2/ },
  { what: 'has torn records', found: ['found log.1 1', 'found log.2 rec'], complaint: /holds the line 'record rec'/ },
]) {
  test(`a disk is bad that ${what}`, () => {
    assert.throws(() => assertFound(found, expectationOf(SAID)), complaint);
  });
}

test('a guest whose disk refused something is a failure whatever the disk holds', () => {
  assert.throws(() => expectationOf(['ack 1', 'failed append 2']), /failed append 2/);
});
