import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readUint64, writeUint64 } from './big-endian.ts';

test('a number up to 2^53 - 1 is written as BigInt would write it', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), value => {
      const bytes = Buffer.alloc(8);
      writeUint64(bytes, 0, value);
      assert.equal(bytes.readBigUInt64BE(0), BigInt(value));
      assert.equal(readUint64(bytes, 0), value);
    }),
  );
});

test('a value above 2^53 - 1 never reads as a safe integer', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }), value => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      assert.equal(Number.isSafeInteger(readUint64(bytes, 0)), false);
    }),
  );
});
