import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

for (const way of ['read in place', 'appended'] as const) {
  test(`messages ${way} in any pieces, with a parser that pauses at will, come out whole and in order`, () => {
    fc.assert(
      fc.property(lengthsOfMessages, steps, (lengths, stepStream) => {
        const wire = stream(lengths);
        const receive = new ReceiveBuffer();
        let sent = 0;
        let taken = 0;
        let room = receive.room();
        for (const { bytes, parsed } of stepStream) {
          if (sent === wire.length) break;
          const piece = wire.subarray(sent, sent + (way === 'appended' ? bytes : Math.min(bytes, room.length)));
          sent += piece.length;
          if (way === 'appended') {
            receive.append(piece);
          } else {
            piece.copy(room);
            receive.landed(piece.length);
          }
          taken += takeMessages(receive, taken, lengths, parsed);
          room = receive.room();
          assert.ok(room.length > 0);
          // A parser that paused goes on between two reads, whose place is settled already.
          taken += takeMessages(receive, taken, lengths, parsed);
        }
        taken += takeMessages(receive, taken, lengths, Number.POSITIVE_INFINITY);
        assert.equal(taken, lengths.length);
        receive.release();
      }),
      { numRuns: 60 },
    );
  });
}

test('a slab that a request still uses is not written over', () => {
  const receive = new ReceiveBuffer();
  const slab = receive.slab;
  receive.room().fill(1);
  receive.landed(SLAB_BYTES);
  slab.retain();
  receive.take(SLAB_BYTES);
  receive.room().fill(2);
  assert.notEqual(receive.slab, slab);
  assert.ok(slab.bytes.every(byte => byte === 1));
  slab.release();
  receive.release();
});

test('a payload longer than a slab is read to its end in one piece, and little beyond', () => {
  const receive = new ReceiveBuffer();
  const message = 3 * SLAB_BYTES;
  receive.room();
  receive.landed(100);
  receive.expect(message);
  const room = receive.room();
  assert.ok(room.length >= message - 100 && room.length <= message - 100 + 28, `${room.length} bytes of room`);
  receive.release();
});
