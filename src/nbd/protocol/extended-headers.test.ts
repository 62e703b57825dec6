/**
 * The messages of extended headers against bytes put together by hand from the tables of the specification
 * (NBD proto.md, branch extension-ext-header), since no peer at hand speaks them.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import {
  BLOCK_STATUS_EXT_BYTES,
  decodeBlockStatusExt,
  decodeBlockStatusQuery,
  EXTENT_EXT_BYTES,
  encodeBlockStatusExt,
  encodeBlockStatusQuery,
  encodeExtentExt,
} from './block-status-ext.ts';
import {
  blankExtendedReply,
  decodeExtendedReply,
  EXTENDED_REPLY_BYTES,
  encodeExtendedReply,
} from './extended-reply.ts';
import { decodeExtendedRequest, EXTENDED_REQUEST_BYTES, encodeExtendedRequest } from './extended-request.ts';
import { blankRequestHeader } from './request.ts';

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u53 = fc.maxSafeNat();

function written(length: number, write: (target: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

const requests = [
  ['a write of 4 KiB', [0x21, 1, 1, 2, 8192, 4096], '0021 0001 0000000100000002 0000000000002000 0000000000001000'],
  ['zeroes over 1 TiB', [2, 6, 0, 9, 0, 2 ** 40], '0002 0006 0000000000000009 0000000000000000 0000010000000000'],
  [
    'a status',
    [0, 7, 0xdeadbeef, 7, 2 ** 40 + 1, 2 ** 33],
    '0000 0007 deadbeef00000007 0000010000000001 0000000200000000',
  ],
] as const;

for (const [what, [flags, type, cookieHigh, cookieLow, offset, length], hex] of requests) {
  test(`an extended request, ${what}, is laid out as the specification says`, () => {
    const wire = bytesOf(`21e41c71 ${hex}`);
    assert.deepEqual(
      written(EXTENDED_REQUEST_BYTES, target =>
        encodeExtendedRequest(target, 0, flags, type, cookieHigh, cookieLow, offset, length),
      ),
      wire,
    );
    const header = blankRequestHeader();
    decodeExtendedRequest(wire, 0, header);
    assert.deepEqual(header, { flags, type, cookieHigh, cookieLow, offset, length });
  });
}

test('every extended request survives a round trip', () => {
  fc.assert(
    fc.property(u16, u16, u32, u32, u53, u53, (flags, type, cookieHigh, cookieLow, offset, length) => {
      const header = blankRequestHeader();
      const bytes = written(EXTENDED_REQUEST_BYTES, target =>
        encodeExtendedRequest(target, 0, flags, type, cookieHigh, cookieLow, offset, length),
      );
      decodeExtendedRequest(bytes, 0, header);
      assert.deepEqual(header, { flags, type, cookieHigh, cookieLow, offset, length });
    }),
  );
});

test('a length or offset above 2^53 - 1 is larger than any export', () => {
  const header = blankRequestHeader();
  decodeExtendedRequest(bytesOf(`21e41c71 0000 0004 ${'00'.repeat(8)} 0020000000000000 ffffffffffffffff`), 0, header);
  assert.deepEqual([header.offset, header.length], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
});

for (const magic of ['25609513', '12560953', '21e41c70', '6e8a278c', '00000000']) {
  test(`an extended request that starts with ${magic} is refused`, () => {
    assert.throws(
      () => decodeExtendedRequest(bytesOf(`${magic}${'00'.repeat(28)}`), 0, blankRequestHeader()),
      ProtocolError,
    );
  });
}

test('an extended reply is laid out as the specification says', () => {
  const wire = bytesOf('6e8a278c 0001 8001 0000000100000002 0000010000000001 0000000000000006');
  assert.deepEqual(
    written(EXTENDED_REPLY_BYTES, target => encodeExtendedReply(target, 0, 1, 0x8001, 1, 2, 256, 1, 6)),
    wire,
  );
  const chunk = blankExtendedReply();
  decodeExtendedReply(wire, 0, chunk);
  assert.deepEqual(chunk, { flags: 1, type: 0x8001, cookieHigh: 1, cookieLow: 2, offset: 2 ** 40 + 1, length: 6 });
});

test('every extended reply survives a round trip', () => {
  const high = fc.integer({ min: 0, max: 0x1f_ffff });
  fc.assert(
    fc.property(
      u16,
      u16,
      u32,
      u32,
      high,
      u32,
      u53,
      (flags, type, cookieHigh, cookieLow, offsetHigh, offsetLow, length) => {
        const chunk = blankExtendedReply();
        const bytes = written(EXTENDED_REPLY_BYTES, target =>
          encodeExtendedReply(target, 0, flags, type, cookieHigh, cookieLow, offsetHigh, offsetLow, length),
        );
        decodeExtendedReply(bytes, 0, chunk);
        const offset = offsetHigh * 2 ** 32 + offsetLow;
        assert.deepEqual(chunk, { flags, type, cookieHigh, cookieLow, offset, length });
      },
    ),
  );
});

test('a BLOCK_STATUS_EXT is laid out as the specification says', () => {
  const wire = bytesOf('00000007 00000002 0000000000010000 0000000000000003 0000010000000000 0000000000000000');
  assert.deepEqual(
    written(BLOCK_STATUS_EXT_BYTES + 2 * EXTENT_EXT_BYTES, target => {
      encodeBlockStatusExt(target, 0, 7, 2);
      encodeExtentExt(target, 8, 65_536, 3);
      encodeExtentExt(target, 24, 2 ** 40, 0);
    }),
    wire,
  );
  const extents = [
    { length: 65_536, status: 3 },
    { length: 2 ** 40, status: 0 },
  ];
  assert.deepEqual(decodeBlockStatusExt(wire), { contextId: 7, extents });
  const uncounted = Buffer.from(wire).fill(0, 4, 8);
  assert.deepEqual(decodeBlockStatusExt(uncounted), { contextId: 7, extents });
});

for (const [what, hex] of [
  ['nothing', ''],
  ['no extent', '00000007 00000000'],
  ['half an extent', '00000007 00000001 0000000000010000'],
  ['a count of more extents than it has', '00000007 00000002 0000000000010000 0000000000000003'],
  ['an empty extent', '00000007 00000001 0000000000000000 0000000000000003'],
] as const) {
  test(`a BLOCK_STATUS_EXT with ${what} is refused`, () => {
    assert.throws(() => decodeBlockStatusExt(bytesOf(hex)), ProtocolError);
  });
}

test('the payload of a BLOCK_STATUS is laid out as the specification says', () => {
  const query = { length: 2 ** 33, contextIds: [1, 0x10000] };
  const wire = bytesOf('0000000200000000 00000001 00010000');
  assert.deepEqual(encodeBlockStatusQuery(query), wire);
  assert.deepEqual(decodeBlockStatusQuery(wire), query);
  for (const hex of ['', '0000000200000000', '0000000200000000 0000', '00000002']) {
    assert.throws(() => decodeBlockStatusQuery(bytesOf(hex)), ProtocolError);
  }
});
