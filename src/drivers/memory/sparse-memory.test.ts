import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SparseMemory } from './sparse-memory.ts';

const SIZE = 30_000;

test('any sequence of writes and zeroings reads like an array of bytes', () => {
  const change = fc.record({
    offset: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 13_000 }),
    value: fc.integer({ min: 0, max: 255 }),
    zero: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), changes => {
      const memory = new SparseMemory();
      const model = Buffer.alloc(SIZE);
      for (const { offset, length: wanted, value, zero } of changes) {
        const length = Math.min(wanted, SIZE - offset);
        if (zero) memory.zero(offset, length);
        else memory.write(offset, length, Buffer.alloc(length, value), 0);
        model.fill(zero ? 0 : value, offset, offset + length);
        const read = Buffer.alloc(SIZE, 0xee);
        memory.read(0, SIZE, read, 0);
        assert.ok(read.equals(model));
      }
    }),
  );
});

test('whole pages that are zeroed give their memory back', () => {
  const memory = new SparseMemory();
  memory.write(100, 20_000, Buffer.alloc(20_000, 1), 0);
  assert.equal(memory.usedBytes, 5 * 4096);
  memory.zero(0, 2 ** 50);
  assert.equal(memory.usedBytes, 0);
});

test('a run ends where memory begins or ends', () => {
  const memory = new SparseMemory();
  assert.deepEqual(memory.runAt(0, 2 ** 50), { length: 2 ** 50, allocated: false });
  memory.write(8192, 1, Buffer.alloc(1, 1), 0);
  assert.deepEqual(memory.runAt(100, 50_000), { length: 8092, allocated: false });
  assert.deepEqual(memory.runAt(8192, 50_000), { length: 4096, allocated: true });
});
