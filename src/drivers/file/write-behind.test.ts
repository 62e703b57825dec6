import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeRequest } from '../../block/block-request.ts';
import { MAX_UNSYNCED_BYTES, SYNC_AFTER_BYTES, WriteBehind } from './write-behind.ts';

const KIB = 1024;

function write(offset: number, length: number) {
  return Object.assign(takeRequest('write', { requestDone: () => {} }), { offset, length });
}

test('whole pages are written at once, parts of pages and large writes are not', () => {
  const behind = new WriteBehind();
  for (const [offset, length, allowed] of [
    [0, 4 * KIB, true],
    [8 * KIB, 256 * KIB, true],
    [0, 260 * KIB, false],
    [512, 4 * KIB, false],
    [0, 512, false],
  ] as const) {
    assert.equal(behind.allows(write(offset, length), 0), allowed, `${length} bytes at ${offset}`);
  }
});

test('a sync is wanted at half of the cap, and above the cap nothing is written at once until it has ended', () => {
  const behind = new WriteBehind();
  const page = write(0, 4 * KIB);
  assert.equal(behind.wrote(SYNC_AFTER_BYTES - 1), false);
  assert.equal(behind.wrote(1), true);
  behind.syncStarted();
  assert.equal(behind.wrote(MAX_UNSYNCED_BYTES - SYNC_AFTER_BYTES - 4 * KIB), false);
  assert.equal(behind.allows(page, 0), true);
  assert.equal(behind.wrote(4 * KIB), true);
  assert.equal(behind.allows(page, 0), false);
  behind.syncEnded();
  assert.equal(behind.allows(page, 0), true);
});

test('after a slow write the pool has the writes of the next second', () => {
  const behind = new WriteBehind();
  const page = write(0, 4 * KIB);
  behind.measured(4.9, 100);
  assert.equal(behind.allows(page, 100), true);
  behind.measured(5, 200);
  assert.equal(behind.allows(page, 1199), false);
  assert.equal(behind.allows(page, 1200), true);
});
