import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import { blankRequestHeader, decodeRequest, encodeRequest, REQUEST_BYTES, type RequestHeader } from './request.ts';

const TABLE: readonly (readonly [RequestHeader, string])[] = [
  [
    { flags: 0, type: 0, cookieHigh: 0, cookieLow: 1, offset: 0, length: 512 },
    '25609513 0000 0000 0000000000000001 0000000000000000 00000200',
  ],
  [
    { flags: 1, type: 1, cookieHigh: 0xdeadbeef, cookieLow: 0xcafebabe, offset: 4096, length: 0xffffffff },
    '25609513 0001 0001 deadbeefcafebabe 0000000000001000 ffffffff',
  ],
  [
    { flags: 18, type: 6, cookieHigh: 1, cookieLow: 0, offset: 2 ** 53 - 1, length: 1 },
    '25609513 0012 0006 0000000100000000 001fffffffffffff 00000001',
  ],
];

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

function encoded(header: RequestHeader): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  const { flags, type, cookieHigh, cookieLow, offset, length } = header;
  encodeRequest(bytes, 0, flags, type, cookieHigh, cookieLow, offset, length);
  return bytes;
}

function decoded(bytes: Buffer): RequestHeader {
  const header = blankRequestHeader();
  decodeRequest(bytes, 0, header);
  return header;
}

for (const [header, hex] of TABLE) {
  test(`request ${hex} is encoded and decoded as the specification lays it out`, () => {
    assert.deepEqual(encoded(header), bytesOf(hex));
    assert.deepEqual(decoded(bytesOf(hex)), header);
  });
}

test('every request survives a round trip', () => {
  const u16 = fc.integer({ min: 0, max: 0xffff });
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const any = fc.record({
    flags: u16,
    type: u16,
    cookieHigh: u32,
    cookieLow: u32,
    offset: fc.maxSafeNat(),
    length: u32,
  });
  fc.assert(fc.property(any, header => assert.deepEqual(decoded(encoded(header)), { ...header })));
});

test('a request with a wrong magic is refused', () => {
  assert.throws(() => decoded(bytesOf(TABLE[0]?.[1].replace('25609513', '25609514') ?? '')), ProtocolError);
});

test('an offset above 2^53 - 1 decodes to one that no export reaches', () => {
  const bytes = bytesOf('25609513 0000 0000 0000000000000001 ffffffffffffffff 00000200');
  assert.ok(decoded(bytes).offset >= 2 ** 53);
});
