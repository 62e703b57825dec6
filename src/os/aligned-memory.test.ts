import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALIGNMENT_BYTES, alignUp, allocateAligned } from './aligned-memory.ts';
import { addressOf } from './memory-address.ts';

test('memory begins at a multiple of a cache line, whatever its size', () => {
  for (const bytes of [1, 4096, 256 * 1024, 3_000_000]) {
    const memory = allocateAligned(bytes);
    assert.equal(memory.length, bytes);
    assert.equal(addressOf(memory) % ALIGNMENT_BYTES, 0);
    assert.equal(addressOf(memory.subarray(1)) % ALIGNMENT_BYTES, 1);
  }
});

test('a position is rounded up to a multiple of a cache line', () => {
  assert.deepEqual([0, 1, 63, 64, 65].map(alignUp), [0, 64, 64, 64, 128]);
});
