import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DirectSocket } from '../../os/direct-socket.ts';
import { SLAB_BYTES } from './payload-slabs.ts';
import { ReceiveBuffer } from './receive-buffer.ts';

const LENGTH_BYTES = 4;

/** Byte `index` of message `number`, so that a byte in the wrong place shows. */
const contentAt = (number: number, index: number): number => (number * 31 + index * 7) & 0xff;

/** Messages of a u32 length and content, back to back. */
function stream(lengths: readonly number[]): Buffer {
  return Buffer.concat(
    lengths.map((length, number) => {
      const message = Buffer.alloc(LENGTH_BYTES + length);
      message.writeUInt32BE(length, 0);
      for (let i = 0; i < length; i++) message[LENGTH_BYTES + i] = contentAt(number, i);
      return message;
    }),
  );
}

/** Takes whole messages, up to `limit` of them, and checks their content. Returns how many there were. */
function takeMessages(receive: ReceiveBuffer, first: number, lengths: readonly number[], limit: number): number {
  let taken = 0;
  while (taken < limit) {
    if (receive.available < LENGTH_BYTES) {
      receive.expect(LENGTH_BYTES);
      return taken;
    }
    const length = receive.bytes.readUInt32BE(receive.start);
    assert.equal(length, lengths[first + taken]);
    if (receive.available < LENGTH_BYTES + length) {
      receive.expect(LENGTH_BYTES + length);
      return taken;
    }
    for (let i = 0; i < length; i += Math.max(1, length >> 4)) {
      assert.equal(receive.bytes[receive.start + LENGTH_BYTES + i], contentAt(first + taken, i));
    }
    receive.take(LENGTH_BYTES + length);
    taken += 1;
  }
  return taken;
}

const lengthsOfMessages = fc.array(fc.oneof(fc.nat(100), fc.nat(9000), fc.nat(700_000)), { maxLength: 12 });
const steps = fc.infiniteStream(fc.record({ bytes: fc.integer({ min: 1, max: 300_000 }), parsed: fc.nat(3) }));

/** A socket in which bytes lie, and which gives at most so many of them at once. */
class Inbox implements Pick<DirectSocket, 'receive'> {
  readonly #bytes: Buffer;
  readonly #most: () => number;
  #given = 0;

  constructor(bytes: Buffer, most: () => number) {
    this.#bytes = bytes;
    this.#most = most;
  }

  get left(): number {
    return this.#bytes.length - this.#given;
  }

  receive(buffer: Buffer, at: number, length: number): number {
    const given = this.#bytes.copy(buffer, at, this.#given, this.#given + Math.min(length, this.#most()));
    this.#given += given;
    return given;
  }

  take(): Buffer {
    const from = this.#given;
    this.#given = Math.min(from + this.#most(), this.#bytes.length);
    return this.#bytes.subarray(from, this.#given);
  }
}

for (const way of ['read in place', 'appended', 'either'] as const) {
  test(`messages ${way} in any pieces, with a parser that pauses at will, come out whole and in order`, () => {
    fc.assert(
      fc.property(lengthsOfMessages, steps, fc.infiniteStream(fc.boolean()), (lengths, stepStream, choices) => {
        const receive = new ReceiveBuffer();
        let most = 0;
        const inbox = new Inbox(stream(lengths), () => most);
        let taken = 0;
        for (const { bytes, parsed } of stepStream) {
          if (inbox.left === 0) break;
          most = bytes;
          // As the connection does, it reads in place only where the parser has taken all that it can.
          const messages = takeMessages(receive, taken, lengths, parsed);
          taken += messages;
          const inPlace = way === 'read in place' || (way === 'either' && choices.next().value === true);
          if (inPlace && messages < parsed) receive.receiveFrom(inbox);
          else if (way !== 'read in place') receive.append(inbox.take(), false);
        }
        taken += takeMessages(receive, taken, lengths, Number.POSITIVE_INFINITY);
        assert.equal(taken, lengths.length);
        receive.release();
      }),
      { numRuns: 60 },
    );
  });
}

/** Bytes of one value that never end. */
const endless = (value: number): Pick<DirectSocket, 'receive'> => ({
  receive: (buffer, at, length) => {
    buffer.fill(value, at, at + length);
    return length;
  },
});

test('a slab that a request still uses is not written over', () => {
  const receive = new ReceiveBuffer();
  const slab = receive.slab;
  assert.equal(receive.receiveFrom(endless(1)), SLAB_BYTES);
  assert.ok(receive.isFilled);
  slab.retain();
  receive.take(SLAB_BYTES);
  receive.receiveFrom(endless(2));
  assert.notEqual(receive.slab, slab);
  assert.ok(slab.bytes.every(byte => byte === 1));
  slab.release();
  receive.release();
});

test('a payload longer than a slab is read to its end in one piece, and no byte beyond', () => {
  const receive = new ReceiveBuffer();
  const message = 3 * SLAB_BYTES;
  receive.append(Buffer.alloc(100), false);
  receive.expect(message);
  assert.equal(receive.receiveFrom(endless(1)), message - 100);
  receive.release();
});
