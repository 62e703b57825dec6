/**
 * ReplyQueue: the replies of one connection, gathered so that those of a tick go out in one write.
 *
 * A reply is built in place: the caller reserves room, has the payload read behind the header, and pushes the piece
 * when it is complete. Pieces that lie side by side leave as one buffer.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import { ALIGNMENT_BYTES, alignUp } from '../../os/aligned-memory.ts';
import type { DirectSocket } from '../../os/direct-socket.ts';
import { FLUSH_BYTES, FLUSH_REPLIES } from './limits.ts';
import { SLAB_BYTES, takeSlab } from './payload-slabs.ts';

/** A payload from this size on is read to an aligned place. */
const MIN_ALIGNED_BYTES = 1024;

/** A part of a slab that is ready to go; it holds one reference of the slab. */
type Piece = { readonly slab: Slab; readonly bytes: Buffer; readonly from: number; to: number };
/** Pieces that were handed to the socket together and wait in it. */
type Batch = { readonly pieces: readonly Piece[]; readonly bytes: number };

export class ReplyQueue {
  readonly #socket: DirectSocket;
  readonly #onSent: () => void;
  #slab: Slab | null = null;
  #used = 0;
  #reservedAt = 0;
  #pieces: Piece[] = [];
  #queuedBytes = 0;
  #queuedReplies = 0;
  #batches: Batch[] = [];
  #unsentBytes = 0;
  #closed = false;

  /** `onSent` is called when the socket has taken replies later than at once. */
  constructor(socket: DirectSocket, onSent: () => void) {
    this.#socket = socket;
    this.#onSent = onSent;
  }

  /** Bytes pushed that the socket has not taken. */
  get unsentBytes(): number {
    return this.#queuedBytes + this.#unsentBytes;
  }

  /**
   * Room for a reply of a header and a payload at `reservedAt` of the slab; the caller holds a reference until it pushes
   * or drops. A disk reads fast to where the payload is (see os/aligned-memory.ts), unless it is short: then replies that
   * lie side by side, and leave as one, are worth more.
   */
  reserve(headerBytes: number, payloadBytes: number): Slab {
    const isAligned = payloadBytes >= MIN_ALIGNED_BYTES;
    const bytes = headerBytes + payloadBytes + (isAligned ? ALIGNMENT_BYTES : 0);
    if (bytes > SLAB_BYTES) {
      this.#reservedAt = alignUp(headerBytes) - headerBytes;
      return takeSlab(bytes);
    }
    let slab = this.#slab;
    if (slab !== null && slab.references === 1) this.#used = 0;
    if (slab === null || this.#used + bytes > SLAB_BYTES) {
      slab?.release();
      slab = takeSlab(SLAB_BYTES);
      this.#slab = slab;
      this.#used = 0;
    }
    slab.retain();
    this.#reservedAt = isAligned ? alignUp(this.#used + headerBytes) - headerBytes : this.#used;
    this.#used = this.#reservedAt + headerBytes + payloadBytes;
    return slab;
  }

  get reservedAt(): number {
    return this.#reservedAt;
  }

  /** Queues bytes `from` to `to` of `slab` and takes over the caller's reference. */
  push(slab: Slab, from: number, to: number): void {
    if (this.#closed) {
      slab.release();
      return;
    }
    this.#queuedBytes += to - from;
    this.#queuedReplies += 1;
    const last = this.#pieces[this.#pieces.length - 1];
    if (last !== undefined && last.slab === slab && last.to === from) {
      last.to = to;
      slab.release();
    } else {
      this.#pieces.push({ slab, bytes: slab.bytes, from, to });
    }
  }

  /** Flushes where much has gathered, so that the client goes on while the rest is worked off. */
  flushIfMuch(): void {
    if (this.#queuedReplies >= FLUSH_REPLIES || this.#queuedBytes >= FLUSH_BYTES) this.flush();
  }

  /** Hands what was pushed to the socket. */
  flush(): void {
    if (this.#queuedBytes === 0) return;
    const pieces = this.#pieces;
    const bytes = this.#queuedBytes;
    this.#queuedBytes = 0;
    this.#queuedReplies = 0;
    if (this.#socket.send(pieces, this.#written)) {
      for (const piece of pieces) piece.slab.release();
      pieces.length = 0;
    } else {
      this.#batches.push({ pieces, bytes });
      this.#unsentBytes += bytes;
      this.#pieces = [];
    }
  }

  /** Drops everything; what is pushed later is dropped too. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const piece of this.#pieces) piece.slab.release();
    this.#pieces = [];
    this.#queuedBytes = 0;
    while (this.#batches.length > 0) this.#settle();
    this.#slab?.release();
    this.#slab = null;
  }

  readonly #written = (): void => {
    if (this.#closed) return;
    this.#settle();
    this.#onSent();
  };

  #settle(): void {
    const batch = this.#batches.shift() as Batch;
    for (const piece of batch.pieces) piece.slab.release();
    this.#unsentBytes -= batch.bytes;
  }
}
