import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../base/errors.ts';
import { type BlockRequest, type RequestKind, type RequestOwner, takeRequest } from '../../block/block-request.ts';
import { ExtentList } from '../../block/extent-list.ts';
import { writeUint64 } from '../protocol/big-endian.ts';
import {
  EXTENT_BYTES,
  encodeErrorPayload,
  encodeExtent,
  encodeOffsetHole,
  OFFSET_HOLE_BYTES,
} from '../protocol/chunk-payload.ts';
import { encodeSimpleReply, SIMPLE_REPLY_BYTES } from '../protocol/simple-reply.ts';
import { encodeStructuredReply, STRUCTURED_REPLY_BYTES } from '../protocol/structured-reply.ts';
import { ReplyParser } from './reply-parser.ts';
import { type Slot, SlotTable } from './slot-table.ts';

const CONTEXT = 77;
const START = 4096;
const LENGTH = 64;
const NONE = 0;
const DATA = 1;
const HOLE = 2;
const STATUS = 5;
const ERROR = 0x8001;
const ERROR_OFFSET = 0x8002;
const nobody: RequestOwner = { requestDone: () => {} };

/** A parser with one request in flight, and what became of it. */
class Bench {
  readonly slots = new SlotTable(4);
  readonly parser: ReplyParser;
  readonly request: BlockRequest;
  readonly completions: number[] = [];

  constructor(kind: RequestKind, structured = true) {
    this.parser = new ReplyParser(
      this.slots,
      { replyDone: (slot, errno) => this.#done(slot, errno) },
      structured ? 'structured' : 'simple',
      new Map([[CONTEXT, 'base:allocation']]),
    );
    this.request = takeRequest(kind, nobody);
    this.request.offset = START;
    this.request.length = kind === 'flush' ? 0 : LENGTH;
    this.request.buffer = Buffer.alloc(LENGTH + 20, 0xee);
    this.request.at = 10;
    this.request.extents = new ExtentList();
    this.slots.take(this.request, 0);
  }

  /** The bytes that a read was filled with. */
  get data(): Buffer {
    return this.request.buffer.subarray(10, 10 + LENGTH);
  }

  feed(...pieces: readonly Buffer[]): this {
    for (const piece of pieces) this.parser.consume(piece, piece.length);
    return this;
  }

  #done(slot: Slot, errno: number): void {
    this.slots.release(slot);
    this.completions.push(errno);
  }
}

function simple(error = 0, data: Buffer = Buffer.alloc(0), cookieLow = 0, cookieHigh = 0): Buffer {
  const header = Buffer.alloc(SIMPLE_REPLY_BYTES);
  encodeSimpleReply(header, 0, error, cookieHigh, cookieLow);
  return Buffer.concat([header, data]);
}

function chunk(type: number, payload: Buffer, done = true, flags = done ? 1 : 0): Buffer {
  const header = Buffer.alloc(STRUCTURED_REPLY_BYTES);
  encodeStructuredReply(header, 0, flags, type, 0, 0, payload.length);
  return Buffer.concat([header, payload]);
}

function dataAt(offset: number, data: Buffer): Buffer {
  const payload = Buffer.alloc(8 + data.length);
  writeUint64(payload, 0, offset);
  data.copy(payload, 8);
  return payload;
}

function holeAt(offset: number, length: number): Buffer {
  const payload = Buffer.alloc(OFFSET_HOLE_BYTES);
  encodeOffsetHole(payload, 0, offset, length);
  return payload;
}

function status(context: number, ...extents: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(4 + EXTENT_BYTES * extents.length);
  payload.writeUInt32BE(context, 0);
  for (const [index, [length, flags]] of extents.entries())
    encodeExtent(payload, 4 + index * EXTENT_BYTES, length, flags);
  return payload;
}

const content = Buffer.from(Array.from({ length: LENGTH }, (_, index) => index + 1));
const nothing = Buffer.alloc(0);

const halves = Buffer.concat([
  chunk(DATA, dataAt(START + 40, content.subarray(40)), false),
  chunk(HOLE, holeAt(START + 16, 24), false),
  chunk(DATA, dataAt(START, content.subarray(0, 16)), false),
  chunk(NONE, nothing),
]);
const punched = Buffer.from(content).fill(0, 16, 40);

type Outcome = {
  readonly errno: number;
  readonly data?: Buffer;
  readonly extents?: readonly (readonly [number, number])[];
};

for (const [what, kind, structured, reply, outcome] of [
  ['a simple reply to a write', 'write', false, simple(), { errno: 0 }],
  ['a simple error', 'write', true, simple(28), { errno: 28 }],
  ['a simple reply with data', 'read', false, simple(0, content), { errno: 0, data: content }],
  ['a simple error to a read, which has no data', 'read', false, simple(5), { errno: 5 }],
  ['an error that NBD does not define', 'write', false, simple(1000), { errno: 22 }],
  ['one data chunk', 'read', true, chunk(DATA, dataAt(START, content)), { errno: 0, data: content }],
  ['one hole chunk', 'read', true, chunk(HOLE, holeAt(START, LENGTH)), { errno: 0, data: Buffer.alloc(LENGTH) }],
  ['data and holes out of order', 'read', true, halves, { errno: 0, data: punched }],
  ['an empty chunk to a flush', 'flush', true, chunk(NONE, nothing), { errno: 0 }],
  ['an error chunk with a text', 'write', true, chunk(ERROR, encodeErrorPayload(28, 'full')), { errno: 28 }],
  ['an error chunk of unknown kind', 'write', true, chunk(0x8777, encodeErrorPayload(5, '')), { errno: 5 }],
  [
    'an error after half of the data',
    'read',
    true,
    Buffer.concat([
      chunk(DATA, dataAt(START, content.subarray(0, 32)), false),
      chunk(ERROR_OFFSET, encodeErrorPayload(5, 'bad sector', START + 32), false),
      chunk(NONE, nothing),
    ]),
    { errno: 5 },
  ],
  [
    'a block status',
    'block-status',
    true,
    chunk(STATUS, status(CONTEXT, [16, 0], [16, 3], [32, 1])),
    {
      errno: 0,
      extents: [
        [16, 0],
        [16, 3],
        [32, 1],
      ],
    },
  ],
  [
    'a block status that ends early',
    'block-status',
    true,
    chunk(STATUS, status(CONTEXT, [16, 2])),
    { errno: 0, extents: [[16, 2]] },
  ],
  [
    'a block status whose last extent reaches past the request',
    'block-status',
    true,
    chunk(STATUS, status(CONTEXT, [16, 3], [0xffffffff, 0x80000000])),
    {
      errno: 0,
      extents: [
        [16, 3],
        [48, 0],
      ],
    },
  ],
] as const satisfies readonly (readonly [string, RequestKind, boolean, Buffer, Outcome])[]) {
  test(`${what} completes its request, wherever the bytes are split`, () => {
    const expect = (bench: Bench): void => {
      const wanted: Outcome = outcome;
      assert.deepEqual(bench.completions, [wanted.errno]);
      if (wanted.data !== undefined) assert.deepEqual(bench.data, wanted.data);
      if (wanted.extents !== undefined) {
        assert.deepEqual(
          bench.request.extents?.lengths,
          wanted.extents.map(([length]) => length),
        );
        assert.deepEqual(
          bench.request.extents?.flags,
          wanted.extents.map(([, flags]) => flags),
        );
      }
      const { buffer } = bench.request;
      assert.ok(
        buffer.subarray(0, 10).every(byte => byte === 0xee),
        'bytes before the request are untouched',
      );
      assert.ok(
        buffer.subarray(10 + LENGTH).every(byte => byte === 0xee),
        'bytes behind the request are untouched',
      );
    };
    for (let split = 0; split <= reply.length; split++) {
      expect(new Bench(kind, structured).feed(reply.subarray(0, split), reply.subarray(split)));
    }
    expect(new Bench(kind, structured).feed(...Array.from(reply, byte => Buffer.from([byte]))));
  });

  test(`${what} completes nothing before its last byte`, () => {
    for (let length = 0; length < reply.length; length++) {
      assert.deepEqual(new Bench(kind, structured).feed(reply.subarray(0, length)).completions, []);
    }
  });
}

for (const [what, kind, structured, reply, rule] of [
  ['an unknown magic', 'write', true, Buffer.from('12345678'.repeat(4), 'hex'), /magic/],
  ['a request in place of a reply', 'write', true, Buffer.from('25609513'.repeat(4), 'hex'), /magic/],
  ['a cookie of a free slot', 'write', true, simple(0, nothing, 1), /cookie/],
  ['a cookie beyond all slots', 'write', true, simple(0, nothing, 0xffffffff), /cookie/],
  ['a cookie of another generation', 'write', true, simple(0, nothing, 0, 1), /cookie/],
  ['a second reply to a request', 'write', true, Buffer.concat([simple(), simple()]), /cookie/],
  ['a chunk after the last', 'write', true, Buffer.concat([chunk(NONE, nothing), chunk(NONE, nothing)]), /cookie/],
  ['a chunk that was not negotiated', 'write', false, chunk(NONE, nothing), /not negotiated/],
  ['a simple reply to a structured read', 'read', true, simple(0, content), /simple reply to a read/],
  ['a simple error to a structured read', 'read', true, simple(5), /simple reply to a read/],
  ['a simple reply to a block status', 'block-status', true, simple(), /simple reply to a block-status/],
  ['an unknown chunk type', 'write', true, chunk(4, nothing), /unknown type 4/],
  ['an empty chunk that is not the last', 'write', true, chunk(NONE, nothing, false), /not the last/],
  ['an empty chunk with payload', 'write', true, chunk(NONE, content), /length 64 of an empty chunk/],
  ['data for a write', 'write', true, chunk(DATA, dataAt(START, content)), /data chunk in reply to a write/],
  ['a hole for a write', 'write', true, chunk(HOLE, holeAt(START, LENGTH)), /hole chunk in reply to a write/],
  ['a status for a read', 'read', true, chunk(STATUS, status(CONTEXT, [1, 0])), /status chunk in reply to a read/],
  ['a data chunk without data', 'read', true, chunk(DATA, dataAt(START, nothing)), /length 8 of a data chunk/],
  ['more data than asked for', 'read', true, chunk(DATA, dataAt(START, Buffer.alloc(65))), /length 73 of a data chunk/],
  ['data before the request', 'read', true, chunk(DATA, dataAt(START - 1, content)), /outside its request/],
  ['data past the request', 'read', true, chunk(DATA, dataAt(START + 1, content)), /outside its request/],
  ['data at 2^64 - 1', 'read', true, chunk(DATA, Buffer.alloc(16, 0xff)), /outside its request/],
  ['a hole past the request', 'read', true, chunk(HOLE, holeAt(START + 60, 5)), /outside its request/],
  ['a hole of 4 GiB', 'read', true, chunk(HOLE, holeAt(START, 0xffffffff)), /outside its request/],
  ['a hole without length', 'read', true, chunk(HOLE, holeAt(START, 0)), /length of 0/],
  ['a hole chunk of wrong length', 'read', true, chunk(HOLE, nothing), /length 0 of a hole chunk/],
  [
    'the same data twice',
    'read',
    true,
    Buffer.concat([chunk(DATA, dataAt(START, content), false), chunk(DATA, dataAt(START, content))]),
    /overlaps/,
  ],
  [
    'overlapping hole and data',
    'read',
    true,
    Buffer.concat([chunk(HOLE, holeAt(START + 20, 4), false), chunk(DATA, dataAt(START, content))]),
    /overlaps/,
  ],
  ['less data than asked for', 'read', true, chunk(DATA, dataAt(START, Buffer.alloc(63))), /without all of its data/],
  ['no data at all', 'read', true, chunk(NONE, nothing), /without all of its data/],
  ['no status at all', 'block-status', true, chunk(NONE, nothing), /without a status/],
  ['a status without extents', 'block-status', true, chunk(STATUS, status(CONTEXT)), /length 4 of a status chunk/],
  ['a status with half an extent', 'block-status', true, chunk(STATUS, Buffer.alloc(16)), /length 16 of a status/],
  ['a status of another context', 'block-status', true, chunk(STATUS, status(1, [64, 0])), /context 1/],
  ['an extent without length', 'block-status', true, chunk(STATUS, status(CONTEXT, [0, 0])), /length of 0/],
  [
    'an extent behind the end',
    'block-status',
    true,
    chunk(STATUS, status(CONTEXT, [64, 0], [1, 0])),
    /beyond the end of its request/,
  ],
  [
    'two statuses of one context',
    'block-status',
    true,
    Buffer.concat([chunk(STATUS, status(CONTEXT, [8, 0]), false), chunk(STATUS, status(CONTEXT, [8, 0]))]),
    /Two status chunks/,
  ],
  ['an error chunk that is cut off', 'write', true, chunk(ERROR, Buffer.alloc(5)), /length 5 of an error chunk/],
  ['an error chunk of 1 MiB', 'write', true, chunk(ERROR, Buffer.alloc(2 ** 20)), /length 1048576 of an error chunk/],
  ['an error chunk with the error 0', 'write', true, chunk(ERROR, encodeErrorPayload(0, '')), /other than 0/],
  ['an error at another place', 'read', true, chunk(ERROR_OFFSET, encodeErrorPayload(5, '', 0)), /outside its request/],
] as const satisfies readonly (readonly [string, RequestKind, boolean, Buffer, RegExp])[]) {
  test(`${what} is a protocol error`, () => {
    const refuse = (...pieces: readonly Buffer[]): void => {
      assert.throws(
        () => new Bench(kind, structured).feed(...pieces),
        error => error instanceof ProtocolError && rule.test(error.message),
      );
    };
    refuse(reply);
    refuse(...Array.from(reply.subarray(0, 400), byte => Buffer.from([byte])), reply.subarray(400));
  });
}

test('a reply to a command that was not sent yet is a protocol error', () => {
  const bench = new Bench('write');
  for (const slot of bench.slots.slots) slot.batch = 1;
  assert.throws(() => bench.feed(simple()), ProtocolError);
});

test('whatever bytes a server sends, they end in completions or a protocol error and touch nothing else', () => {
  const kind = fc.constantFrom<RequestKind>('read', 'write', 'block-status');
  const u16 = fc.constantFrom(0, 1, 2, 3, 5, 0x8001, 0x8002, 0xffff);
  const garbage = fc.uint8Array({ maxLength: 90 }).map(bytes => Buffer.from(bytes));
  const piece = fc.oneof(
    garbage,
    fc.tuple(fc.nat(30), garbage).map(([error, data]) => simple(error, data)),
    fc.tuple(u16, garbage, u16).map(([type, payload, flags]) => chunk(type, payload, false, flags)),
    fc.tuple(fc.integer({ min: -9, max: 70 }), garbage, fc.boolean()).map(([at, data, done]) => {
      return chunk(DATA, dataAt(START + at, data), done);
    }),
  );
  fc.assert(
    fc.property(kind, fc.boolean(), fc.array(piece, { maxLength: 5 }), (which, structured, pieces) => {
      const bench = new Bench(which, structured);
      try {
        bench.feed(...pieces);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
      assert.ok(bench.completions.length <= 1);
      const { buffer } = bench.request;
      assert.ok(buffer.subarray(0, 10).every(byte => byte === 0xee));
      assert.ok(buffer.subarray(10 + LENGTH).every(byte => byte === 0xee));
    }),
    { numRuns: 3000 },
  );
});
