/**
 * ReceiveBuffer: the bytes of one connection that have arrived and are not parsed yet, always in one piece.
 *
 * `receiveFrom` reads to behind what is there; the parser looks at `bytes` from `start` to `end` and takes what it has
 * understood. A payload that lies whole in the slab is used in place: whoever needs it longer retains the slab. A
 * message too long for the rest of the slab moves, with what has come of it, into a slab that holds it.
 *
 * Reads land at aligned addresses where that can be had (see os/aligned-memory.ts): the payload behind the first header
 * of a read, and the rest of a message that came in part. Large messages are read one at a time for that.
 */

import { assert } from '../../base/assert.ts';
import type { Slab } from '../../base/buffer-pool.ts';
import { ALIGNMENT_BYTES, alignUp } from '../../os/aligned-memory.ts';
import type { DirectSocket } from '../../os/direct-socket.ts';
import { LARGE_SLAB_BYTES, SLAB_BYTES, takeSlab } from './payload-slabs.ts';

/** With less room than this at its end a slab is left to the requests that still use it. */
const MIN_ROOM_BYTES = 64 * 1024;
/** From this size on a message is worth a read of its own. */
const LARGE_MESSAGE_BYTES = 16 * 1024;
/** So much of a message that came in part is moved to have the rest of it land aligned. */
const MAX_SHIFTED_BYTES = 4096;

export class ReceiveBuffer {
  #slab: Slab = takeSlab(SLAB_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes that the message at `start` has in all, where the parser waits for the rest of it; else 0. */
  #wanted = 0;
  /** Bytes of the last message: the next is often like it. */
  #lastBytes = 0;
  #headerBytes = 0;
  #isFilled = false;

  /** What comes from now on are messages with a header of this size, mostly sent apart from the payload behind it. */
  alignBehindHeaders(headerBytes: number): void {
    this.#headerBytes = headerBytes;
  }

  get slab(): Slab {
    return this.#slab;
  }

  get bytes(): Buffer {
    return this.#slab.bytes;
  }

  /** Position in `bytes` of the first byte that is not parsed. */
  get start(): number {
    return this.#start;
  }

  get available(): number {
    return this.#end - this.#start;
  }

  /** The parser understood `bytes` more. */
  take(bytes: number): void {
    this.#start += bytes;
    this.#wanted = 0;
    this.#lastBytes = bytes;
  }

  /** Drops up to `bytes`; returns how many there were. */
  skip(bytes: number): number {
    const skipped = Math.min(bytes, this.available);
    this.take(skipped);
    return skipped;
  }

  /** The parser cannot go on before the message at `start` has `bytes`. It says so again after each arrival. */
  expect(bytes: number): void {
    this.#wanted = bytes;
  }

  /** Reads what has come to `socket`, to behind the bytes there are; returns how many came. */
  receiveFrom(socket: Pick<DirectSocket, 'receive'>): number {
    const expected = this.available === 0 ? this.#lastBytes : this.#wanted;
    if (this.available === 0) this.#renew();
    else if (this.#start + this.#wanted + ALIGNMENT_BYTES > this.#slab.bytes.length) this.#moveTo(this.#wanted);
    else if (this.available <= MAX_SHIFTED_BYTES) this.#shift(alignUp(this.#end) - this.#end);
    const { bytes } = this.#slab;
    const limit = expected >= LARGE_MESSAGE_BYTES ? Math.min(this.#start + expected, bytes.length) : bytes.length;
    const roomBytes = limit - this.#end;
    assert(roomBytes > 0, 'A parser that waits for more says how much, or has taken all');
    const received = socket.receive(bytes, this.#end, roomBytes);
    this.#isFilled = received === roomBytes;
    if (received > 0) {
      this.#end += received;
      this.#wanted = 0;
    }
    return received;
  }

  /** True where the last read took all that it had room for: more is likely to lie in the socket. */
  get isFilled(): boolean {
    return this.#isFilled;
  }

  /** Takes a copy of bytes that arrived in memory of somebody else; `isMore` as in `isFilled`. */
  append(chunk: Uint8Array, isMore: boolean): void {
    if (this.available === 0) this.#renew();
    if (this.#end + chunk.length > this.#slab.bytes.length) {
      this.#moveTo(Math.max(this.#wanted, this.available + chunk.length));
    }
    this.#slab.bytes.set(chunk, this.#end);
    this.#end += chunk.length;
    this.#isFilled = isMore;
    this.#wanted = 0;
  }

  /** Gives the memory back. Call it when nothing is read any more. */
  release(): void {
    this.#slab.release();
  }

  /** With nothing left to parse: starts over in this slab, or goes on in it or another while requests use it. */
  #renew(): void {
    const { bytes, references } = this.#slab;
    const likelyBytes = this.#lastBytes + 2 * ALIGNMENT_BYTES;
    const slabBytes = likelyBytes <= SLAB_BYTES || likelyBytes > LARGE_SLAB_BYTES ? SLAB_BYTES : LARGE_SLAB_BYTES;
    const isFree = references === 1;
    if (bytes.length !== slabBytes || (!isFree && bytes.length - this.#end < Math.max(MIN_ROOM_BYTES, likelyBytes))) {
      this.#slab.release();
      this.#slab = takeSlab(slabBytes);
      this.#startAt(0);
    } else {
      this.#startAt(isFree ? 0 : this.#end);
    }
  }

  /** The next message begins at or soon after `position`, so that what follows its header is aligned. */
  #startAt(position: number): void {
    this.#start = alignUp(position + this.#headerBytes) - this.#headerBytes;
    this.#end = this.#start;
  }

  #shift(bytes: number): void {
    if (bytes === 0) return;
    this.#slab.bytes.copyWithin(this.#start + bytes, this.#start, this.#end);
    this.#start += bytes;
    this.#end += bytes;
  }

  /** Goes on in a slab that holds a message of `bytes`, so that the rest of it is aligned. */
  #moveTo(bytes: number): void {
    const slab = takeSlab(bytes + ALIGNMENT_BYTES);
    const start = alignUp(this.available) - this.available;
    slab.bytes.set(this.#slab.bytes.subarray(this.#start, this.#end), start);
    this.#slab.release();
    this.#slab = slab;
    this.#end = start + this.available;
    this.#start = start;
  }
}
