import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { EAGAIN, ENOTSUP } from '../base/errno.ts';
import { isCachedReadRefused, readCached } from './cached-read.ts';

const PAGE = 4096;

test('what the page cache has is read to the place in the buffer that was named, and to no other', async () => {
  await using folder = await TemporaryFolder.create('disk');
  writeFileSync(folder.file('image'), Buffer.concat([Buffer.alloc(PAGE, 'a'), Buffer.alloc(PAGE, 'b')]));
  const fd = openSync(folder.file('image'), 'r');
  try {
    const memory = Buffer.alloc(4 * PAGE, '.');
    const slice = memory.subarray(PAGE);
    assert.equal(readCached(fd, slice, 100, PAGE, PAGE - 10), PAGE);
    const expected = Buffer.concat([Buffer.alloc(10, 'a'), Buffer.alloc(PAGE - 10, 'b')]);
    assert.ok(memory.subarray(PAGE + 100, 2 * PAGE + 100).equals(expected));
    assert.ok(memory.subarray(0, PAGE + 100).every(byte => byte === 0x2e));
    assert.ok(memory.subarray(2 * PAGE + 100).every(byte => byte === 0x2e));
    assert.equal(readCached(fd, slice, 0, PAGE, PAGE + 1000), PAGE - 1000, 'a read past the end is short');
  } finally {
    closeSync(fd);
  }
});

test('a small buffer is filled as well', async () => {
  await using folder = await TemporaryFolder.create('disk');
  writeFileSync(folder.file('image'), 'colobus');
  const fd = openSync(folder.file('image'), 'r');
  try {
    const small = Buffer.from(new Uint8Array(7));
    assert.equal(readCached(fd, small, 0, 7, 0), 7);
    assert.equal(small.toString(), 'colobus');
  } finally {
    closeSync(fd);
  }
});

test('only what says that it will never work counts as refused', () => {
  assert.equal(isCachedReadRefused(-EAGAIN), false);
  assert.equal(isCachedReadRefused(0), false);
  assert.equal(isCachedReadRefused(-ENOTSUP), true);
});
