import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockRequest, takeRequest } from '../../block/block-request.ts';
import { MAX_UNSYNCED_BYTES, SYNC_AFTER_BYTES, WriteBehind } from './write-behind.ts';

const KIB = 1024;

function write(offset: number, length: number): BlockRequest {
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

/** Has `write` enter and end. */
function done(behind: WriteBehind, request: BlockRequest): boolean {
  behind.entered(request);
  return behind.ended(request);
}

test('a sync is wanted at half of the cap, and above the cap nothing is written at once until it has ended', () => {
  const behind = new WriteBehind();
  const page = write(0, 4 * KIB);
  assert.equal(done(behind, write(0, SYNC_AFTER_BYTES - 4 * KIB)), false);
  assert.equal(done(behind, page), true);
  behind.syncStarted();
  assert.equal(done(behind, write(0, MAX_UNSYNCED_BYTES - SYNC_AFTER_BYTES - 4 * KIB)), false);
  assert.equal(behind.allows(page, 0), true);
  assert.equal(done(behind, write(0, 8 * KIB)), true);
  assert.equal(behind.allows(page, 0), false);
  behind.syncEnded();
  assert.equal(behind.allows(page, 0), true);
});

test('writes on their way count before they are done', () => {
  const behind = new WriteBehind();
  const writes = Array.from({ length: 257 }, () => write(0, 128 * KIB));
  for (const request of writes) behind.entered(request);
  assert.equal(behind.allows(write(0, 4 * KIB), 0), false);
  behind.ended(writes[0] as BlockRequest);
  assert.equal(behind.allows(write(0, 4 * KIB), 0), false);
  behind.syncStarted();
  behind.syncEnded();
  assert.equal(behind.allows(write(0, 4 * KIB), 0), true);
});

for (const [what, request] of [
  ['a write of part of a page', write(512, 512)],
  ['a large write', write(0, 1024 * KIB)],
  ['a discard', Object.assign(write(0, 4 * KIB), { kind: 'discard' })],
  ['a writing of zeroes', Object.assign(write(0, 4 * KIB), { kind: 'write-zeroes' })],
] as const) {
  test(`while ${what} is under way nothing is written at once`, () => {
    const behind = new WriteBehind();
    behind.entered(request);
    assert.equal(behind.allows(write(0, 4 * KIB), 0), false);
    behind.ended(request);
    assert.equal(behind.allows(write(0, 4 * KIB), 0), true);
  });
}

test('after a slow write the pool has the writes of the next second', () => {
  const behind = new WriteBehind();
  const page = write(0, 4 * KIB);
  behind.measured(4.9, 100);
  assert.equal(behind.allows(page, 100), true);
  behind.measured(5, 200);
  assert.equal(behind.allows(page, 1199), false);
  assert.equal(behind.allows(page, 1200), true);
});
