/**
 * ReceiveBuffer: the bytes of one connection that have arrived and are not parsed yet, always in one piece.
 *
 * The socket reads straight into `room()`; the parser looks at `bytes` from `start` to `end` and takes what it has
 * understood. A payload that lies whole in the slab is used in place: whoever needs it longer retains the slab. A
 * message too long for the rest of the slab moves, with what has come of it, into a slab that holds it.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import { REQUEST_BYTES } from '../protocol/request.ts';
import { SLAB_BYTES, takeSlab } from './payload-slabs.ts';

/** With less room than this at its end a slab is left to the requests that still use it. */
const MIN_ROOM_BYTES = 64 * 1024;

export class ReceiveBuffer {
  #slab: Slab = takeSlab(SLAB_BYTES);
  #start = 0;
  #end = 0;
  /** Bytes that the message at `start` has in all, where the parser waits for the rest of it; else 0. */
  #wanted = 0;
  /** Where the next read lands while unparsed bytes fill the slab to its end. */
  #landing: Slab | null = null;

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

  /** Where the next read shall land. Called once before each read; `landed` tells how much came. */
  room(): Buffer {
    if (this.available === 0) this.#renew();
    else if (this.#start + this.#wanted > this.#slab.bytes.length) this.#moveTo(this.#wanted + REQUEST_BYTES);
    const { bytes } = this.#slab;
    if (this.#end === bytes.length) {
      this.#landing ??= takeSlab(SLAB_BYTES);
      return this.#landing.bytes;
    }
    // Of what follows a large payload only the next header is read along, so that little has to move afterwards.
    const limit = this.#wanted > SLAB_BYTES ? this.#start + this.#wanted + REQUEST_BYTES : bytes.length;
    return bytes.subarray(this.#end, Math.min(limit, bytes.length));
  }

  /** `bytes` have arrived in `room()`. */
  landed(bytes: number): void {
    const landing = this.#landing;
    this.#wanted = 0;
    if (landing === null) {
      this.#end += bytes;
      return;
    }
    this.#landing = null;
    if (this.available === 0) {
      this.#slab.release();
      this.#slab = landing;
      this.#start = 0;
      this.#end = bytes;
    } else {
      this.append(landing.bytes.subarray(0, bytes));
      landing.release();
    }
  }

  /** Takes a copy of bytes that arrived in memory of somebody else. */
  append(chunk: Uint8Array): void {
    if (this.available === 0) this.#renew();
    if (this.#end + chunk.length > this.#slab.bytes.length) {
      this.#moveTo(Math.max(this.#wanted + REQUEST_BYTES, this.available + chunk.length));
    }
    this.#slab.bytes.set(chunk, this.#end);
    this.#end += chunk.length;
    this.#wanted = 0;
  }

  /** Gives the memory back. Call it when the socket reads no more. */
  release(): void {
    this.#slab.release();
    this.#landing?.release();
  }

  /** With nothing left to parse: starts over in this slab, or goes on in it or another while requests use it. */
  #renew(): void {
    const { bytes, references } = this.#slab;
    if (references === 1 && bytes.length === SLAB_BYTES) {
      this.#start = 0;
      this.#end = 0;
    } else if (bytes.length - this.#end < MIN_ROOM_BYTES || bytes.length > SLAB_BYTES) {
      this.#moveTo(SLAB_BYTES);
    }
  }

  #moveTo(bytes: number): void {
    const slab = takeSlab(bytes);
    slab.bytes.set(this.#slab.bytes.subarray(this.#start, this.#end), 0);
    this.#slab.release();
    this.#slab = slab;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
