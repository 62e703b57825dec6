import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_BYTES, DAMAGED, NEVER_WRITTEN, readStamp, writeStamp } from './block-stamp.ts';

test('a stamp is the block and the sequence number, 256 times', () => {
  const bytes = Buffer.alloc(2 * BLOCK_BYTES, 0xee);
  writeStamp(bytes, BLOCK_BYTES, 5, 2 ** 32 + 7);
  const stamp = Buffer.from('05000000000000000700000001000000', 'hex');
  assert.ok(bytes.subarray(BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES, stamp)));
  assert.ok(bytes.subarray(0, BLOCK_BYTES).equals(Buffer.alloc(BLOCK_BYTES, 0xee)));
  assert.equal(readStamp(bytes, BLOCK_BYTES, 5), 2 ** 32 + 7);
});

test('a block of another number, one with a changed byte and one of two writes are damaged', () => {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  writeStamp(bytes, 0, 3, NEVER_WRITTEN);
  assert.equal(readStamp(bytes, 0, 3), NEVER_WRITTEN);
  assert.equal(readStamp(bytes, 0, 4), DAMAGED);
  for (const at of [15, 16, BLOCK_BYTES / 2, BLOCK_BYTES - 1]) {
    writeStamp(bytes, 0, 3, 9);
    bytes[at] = (bytes[at] as number) ^ 1;
    assert.equal(readStamp(bytes, 0, 3), DAMAGED, `byte ${at}`);
  }
  writeStamp(bytes, 0, 3, 9);
  const later = Buffer.alloc(BLOCK_BYTES);
  writeStamp(later, 0, 3, 10);
  later.copy(bytes, 0, 0, BLOCK_BYTES / 2);
  assert.equal(readStamp(bytes, 0, 3), DAMAGED);
});
