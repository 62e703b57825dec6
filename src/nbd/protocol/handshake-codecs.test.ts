import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import { decodeExportNameReply, encodeExportNameReply, exportNameReplyBytes } from './export-name-reply.ts';
import { decodeClientFlags, decodeGreeting, encodeClientFlags, encodeGreeting, GREETING_BYTES } from './greeting.ts';
import { decodeInfoReply, encodeInfoReply, type InfoReply } from './info-reply.ts';
import { decodeInfoRequest, encodeInfoRequest } from './info-request.ts';
import { decodeListReply, encodeListReply } from './list-reply.ts';
import {
  decodeMetaContext,
  decodeMetaContextRequest,
  encodeMetaContext,
  encodeMetaContextRequest,
} from './meta-context.ts';
import { decodeOptionHeader, encodeOption, OPTION_HEADER_BYTES } from './option.ts';
import { decodeOptionReplyHeader, encodeOptionReply, OPTION_REPLY_HEADER_BYTES } from './option-reply.ts';

/** Codecs of variable length with values and their bytes, written down from the specification's tables. */
const messages: readonly {
  readonly what: string;
  readonly value: unknown;
  readonly hex: string;
  readonly encode: () => Buffer;
  readonly decode: (data: Buffer) => unknown;
}[] = [
  {
    what: 'an INFO or GO with two kinds of information',
    value: { exportName: 'disk', infos: [1, 3] },
    hex: '00000004 6469736b 0002 0001 0003',
    encode: () => encodeInfoRequest({ exportName: 'disk', infos: [1, 3] }),
    decode: decodeInfoRequest,
  },
  {
    what: 'an INFO of the default export',
    value: { exportName: '', infos: [] },
    hex: '00000000 0000',
    encode: () => encodeInfoRequest({ exportName: '', infos: [] }),
    decode: decodeInfoRequest,
  },
  {
    what: 'a listed export',
    value: { name: 'ä', description: 'x y' },
    hex: '00000002 c3a4 782079',
    encode: () => encodeListReply({ name: 'ä', description: 'x y' }),
    decode: decodeListReply,
  },
  {
    what: 'a query for metadata contexts',
    value: { exportName: 'd', queries: ['base:', 'q:x'] },
    hex: '00000001 64 00000002 00000005 626173653a 00000003 713a78',
    encode: () => encodeMetaContextRequest({ exportName: 'd', queries: ['base:', 'q:x'] }),
    decode: decodeMetaContextRequest,
  },
  {
    what: 'a metadata context',
    value: { id: 7, name: 'base:allocation' },
    hex: '00000007 626173653a616c6c6f636174696f6e',
    encode: () => encodeMetaContext({ id: 7, name: 'base:allocation' }),
    decode: decodeMetaContext,
  },
  info('the size and flags', { kind: 'export', sizeBytes: 2 ** 53 - 1, flags: 0x56d }, '0000 001fffffffffffff 056d'),
  info('the name', { kind: 'name', name: 'e' }, '0001 65'),
  info('the description', { kind: 'description', description: 'A b' }, '0002 412062'),
  info(
    'the block size',
    { kind: 'block-size', minimum: 1, preferred: 4096, maximum: 33554432 },
    '0003 00000001 00001000 02000000',
  ),
];

function info(what: string, value: Exclude<InfoReply, { kind: 'unknown' }>, hex: string): (typeof messages)[number] {
  return { what, value, hex, encode: () => encodeInfoReply(value), decode: decodeInfoReply };
}

for (const { what, value, hex, encode, decode } of messages) {
  test(`${what} is encoded and decoded as the specification says`, () => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    assert.equal(encode().toString('hex'), bytes.toString('hex'));
    assert.deepEqual(decode(bytes), value);
  });
}

const fixed = messages.filter(({ what }) => /INFO|query|size/.test(what));
for (const { what, hex, decode } of fixed) {
  test(`${what} that is cut off or too long is a protocol error`, () => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decode(bytes.subarray(0, length)), ProtocolError, `${length} of ${bytes.length} bytes`);
    }
    assert.throws(() => decode(Buffer.concat([bytes, Buffer.alloc(1)])), ProtocolError);
  });
}

test('the greeting and the headers of options and replies are those of the specification', () => {
  const greeting = Buffer.alloc(GREETING_BYTES);
  encodeGreeting(greeting, 0, 3);
  assert.equal(greeting.toString('hex'), '4e42444d4147494349484156454f50540003');
  assert.equal(decodeGreeting(greeting, 0), 3);
  const flags = Buffer.alloc(4);
  encodeClientFlags(flags, 0, 0x80000001);
  assert.equal(decodeClientFlags(flags, 0), 0x80000001);
  const option = encodeOption(7, Buffer.from('ab'));
  assert.equal(option.toString('hex'), '49484156454f505400000007000000026162');
  assert.deepEqual(decodeOptionHeader(option, 0), { option: 7, length: 2 });
  const reply = encodeOptionReply(7, 0x80000003, Buffer.from('no'));
  assert.equal(reply.toString('hex'), '0003e889045565a90000000780000003000000026e6f');
  assert.deepEqual(decodeOptionReplyHeader(reply, 0), { option: 7, type: 0x80000003, length: 2 });
});

test('the answer to EXPORT_NAME has 124 zero bytes unless both sides agreed to leave them out', () => {
  const reply = { sizeBytes: 1024, flags: 0x56d };
  assert.equal(encodeExportNameReply(reply, true).toString('hex'), '0000000000000400056d');
  assert.equal(encodeExportNameReply(reply, false).length, 134);
  assert.equal(exportNameReplyBytes(false), 134);
  assert.deepEqual(decodeExportNameReply(encodeExportNameReply(reply, false), 0), reply);
});

test('one wrong bit in a magic number is a protocol error', () => {
  const greeting = Buffer.alloc(GREETING_BYTES);
  encodeGreeting(greeting, 0, 3);
  const cases = [
    { bytes: greeting, magic: 16, decode: decodeGreeting },
    { bytes: encodeOption(1, Buffer.alloc(0)), magic: 8, decode: decodeOptionHeader },
    { bytes: encodeOptionReply(1, 1, Buffer.alloc(0)), magic: 8, decode: decodeOptionReplyHeader },
  ];
  for (const { bytes, magic, decode } of cases) {
    for (let bit = 0; bit < magic * 8; bit++) {
      const wrong = Buffer.from(bytes);
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => decode(wrong, 0), ProtocolError, `bit ${bit}`);
    }
  }
  assert.equal(OPTION_HEADER_BYTES, 16);
  assert.equal(OPTION_REPLY_HEADER_BYTES, 20);
});

test('a size above 2^53 - 1 bytes is refused, not rounded', () => {
  for (const size of ['0020000000000000', '8000000000000000', 'ffffffffffffffff']) {
    assert.throws(() => decodeInfoReply(Buffer.from(`0000${size}0000`, 'hex')), ProtocolError, size);
  }
});

test('a string with a NUL, broken UTF-8, more than 4096 bytes or a length past its message is refused', () => {
  const named = (name: Buffer, length = name.length): Buffer => {
    const data = Buffer.alloc(4 + name.length + 2);
    data.writeUInt32BE(length, 0);
    name.copy(data, 4);
    return data;
  };
  assert.equal(decodeInfoRequest(named(Buffer.alloc(4096, 'n'))).exportName.length, 4096);
  assert.throws(() => decodeInfoRequest(named(Buffer.alloc(4097, 'n'))), ProtocolError);
  assert.throws(() => decodeInfoRequest(named(Buffer.from('a\0b'))), ProtocolError);
  assert.throws(() => decodeInfoRequest(named(Buffer.from([0xc3]))), ProtocolError);
  assert.throws(() => decodeInfoRequest(named(Buffer.from('disk'), 0xffff_ffff)), ProtocolError);
  assert.throws(() => encodeInfoRequest({ exportName: 'n'.repeat(4097), infos: [] }), ProtocolError);
});

test('a count of queries far above what follows is refused at once', () => {
  assert.throws(() => decodeMetaContextRequest(Buffer.from('000000016410000000', 'hex')), ProtocolError);
});

test('what one peer encodes the other decodes, for random names and queries', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter(s => !s.includes('\0'));
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 8 }), (exportName, queries) => {
      const request = { exportName, queries };
      assert.deepEqual(decodeMetaContextRequest(encodeMetaContextRequest(request)), request);
      const listed = { name: exportName, description: queries[0] ?? '' };
      assert.deepEqual(decodeListReply(encodeListReply(listed)), listed);
    }),
  );
});
