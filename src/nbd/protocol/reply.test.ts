import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import {
  decodeErrorPayload,
  EXTENT_BYTES,
  encodeErrorPayload,
  encodeExtent,
  encodeOffsetData,
  encodeOffsetHole,
  OFFSET_DATA_BYTES,
  OFFSET_HOLE_BYTES,
} from './chunk-payload.ts';
import { NBD_REPLY_TYPE_ERROR, NBD_REPLY_TYPE_ERROR_OFFSET } from './constants.ts';
import { blankSimpleReply, decodeSimpleReply, encodeSimpleReply, SIMPLE_REPLY_BYTES } from './simple-reply.ts';
import {
  blankStructuredReply,
  decodeStructuredReply,
  encodeStructuredReply,
  STRUCTURED_REPLY_BYTES,
} from './structured-reply.ts';

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });

function written(length: number, write: (target: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

test('a simple reply is laid out as the specification says', () => {
  const bytes = written(SIMPLE_REPLY_BYTES, target => encodeSimpleReply(target, 0, 28, 0xdeadbeef, 7));
  assert.deepEqual(bytes, bytesOf('67446698 0000001c deadbeef00000007'));
});

test('every simple reply survives a round trip', () => {
  fc.assert(
    fc.property(u32, u32, u32, (error, cookieHigh, cookieLow) => {
      const reply = blankSimpleReply();
      const bytes = written(SIMPLE_REPLY_BYTES, target => encodeSimpleReply(target, 0, error, cookieHigh, cookieLow));
      decodeSimpleReply(bytes, 0, reply);
      assert.deepEqual(reply, { error, cookieHigh, cookieLow });
    }),
  );
});

test('a structured reply is laid out as the specification says', () => {
  const bytes = written(STRUCTURED_REPLY_BYTES, target => encodeStructuredReply(target, 0, 1, 0x8001, 1, 2, 6));
  assert.deepEqual(bytes, bytesOf('668e33ef 0001 8001 0000000100000002 00000006'));
});

test('every structured reply survives a round trip', () => {
  fc.assert(
    fc.property(u16, u16, u32, u32, u32, (flags, type, cookieHigh, cookieLow, length) => {
      const chunk = blankStructuredReply();
      const bytes = written(STRUCTURED_REPLY_BYTES, target =>
        encodeStructuredReply(target, 0, flags, type, cookieHigh, cookieLow, length),
      );
      decodeStructuredReply(bytes, 0, chunk);
      assert.deepEqual(chunk, { flags, type, cookieHigh, cookieLow, length });
    }),
  );
});

test('the payloads of chunks are laid out as the specification says', () => {
  assert.deepEqual(
    written(OFFSET_DATA_BYTES, target => encodeOffsetData(target, 0, 2 ** 40 + 1)),
    bytesOf('0000010000000001'),
  );
  assert.deepEqual(
    written(OFFSET_HOLE_BYTES, target => encodeOffsetHole(target, 0, 4096, 512)),
    bytesOf('0000000000001000 00000200'),
  );
  assert.deepEqual(
    written(EXTENT_BYTES, target => encodeExtent(target, 0, 65_536, 3)),
    bytesOf('00010000 00000003'),
  );
  assert.deepEqual(encodeErrorPayload(5, 'bad'), bytesOf('00000005 0003 626164'));
  assert.deepEqual(encodeErrorPayload(5, '', 512), bytesOf('00000005 0000 0000000000000200'));
});

test('the payload of an error survives a round trip', () => {
  const anyOffset = fc.option(fc.maxSafeNat());
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 0xffffffff }),
      fc.string({ maxLength: 200 }),
      anyOffset,
      (error, message, offset) => {
        const type = offset === null ? NBD_REPLY_TYPE_ERROR : NBD_REPLY_TYPE_ERROR_OFFSET;
        assert.deepEqual(decodeErrorPayload(encodeErrorPayload(error, message, offset), type), {
          error,
          message: Buffer.from(message).toString(),
          offset,
        });
      },
    ),
  );
});

for (const [what, type, hex] of [
  ['nothing', NBD_REPLY_TYPE_ERROR, ''],
  ['no length of its message', NBD_REPLY_TYPE_ERROR, '00000005 00'],
  ['less message than announced', NBD_REPLY_TYPE_ERROR, '00000005 0004 626164'],
  ['the error 0', NBD_REPLY_TYPE_ERROR, '00000000 0000'],
  ['no offset', NBD_REPLY_TYPE_ERROR_OFFSET, '00000005 0000'],
  ['half an offset', NBD_REPLY_TYPE_ERROR_OFFSET, '00000005 0000 00000000'],
] as const) {
  test(`an error chunk with ${what} is refused`, () => {
    assert.throws(() => decodeErrorPayload(bytesOf(hex), type), ProtocolError);
  });
}
