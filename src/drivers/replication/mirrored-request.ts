/**
 * MirroredRequest: one guest write, write-zeroes, discard or flush on its way to all copies.
 *
 * It is the owner of the child requests and gathers their answers; what follows from them is its node's to decide.
 * It outlives the guest's request where the guest was answered at the deadline and a copy still works on its part.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';

/** Told about each copy's answer. */
export interface MirrorSupervisor {
  /** The copy `child.tag` has answered `child`; the request is given back afterwards. */
  copyAnswered(mirrored: MirroredRequest, child: BlockRequest): void;
  /** All copies have answered the present piece. */
  pieceAnswered(mirrored: MirroredRequest): void;
}

/** Index of the local copy; the remote ones follow. */
export const LOCAL = 0;

export class MirroredRequest implements RequestOwner {
  /** The guest's request; null once it has been answered. */
  request: BlockRequest | null = null;
  /** The range that no overlapping write may enter. */
  offset = 0;
  length = 0;
  /** The piece on its way: zeroes travel in several. */
  pieceOffset = 0;
  pieceLength = 0;
  /** When the piece arrived or its hold ended, for its deadline. */
  arrivedMs = 0;
  localErrno = 0;
  /** A remote copy does not have the piece. */
  missedRemote = false;
  /** A flush: bit i is set where it is the one that covers copy i's writes. */
  covers = 0;
  readonly #supervisor: MirrorSupervisor;
  /** Bit i is set while copy i has not answered. */
  #outstanding = 0;
  #slab: Slab | null = null;

  constructor(supervisor: MirrorSupervisor) {
    this.#supervisor = supervisor;
  }

  begin(request: BlockRequest, nowMs: number): void {
    this.request = request;
    this.covers = 0;
    this.offset = request.offset;
    this.length = request.length;
    this.beginPiece(request.offset, nowMs);
  }

  /** Starts over with the piece from `offset` on. */
  beginPiece(offset: number, nowMs: number): void {
    this.pieceOffset = offset;
    this.pieceLength = this.offset + this.length - offset;
    this.arrivedMs = nowMs;
    this.localErrno = 0;
    this.missedRemote = false;
  }

  get isFlush(): boolean {
    return this.length === 0;
  }

  get isAnswered(): boolean {
    return this.request === null;
  }

  /** True for the flush that covers the writes of `copy`. */
  coversCopy(copy: number): boolean {
    return (this.covers & (1 << copy)) !== 0;
  }

  waitsFor(copy: number): boolean {
    return (this.#outstanding & (1 << copy)) !== 0;
  }

  /** Marks all of `copies` before the first is sent to, so that an answer at once does not end the piece. */
  expect(copies: number): void {
    this.#outstanding = copies;
  }

  /** Sends the present piece to copy `index`. */
  sendTo(index: number, edge: BlockEdge, guest: BlockRequest): void {
    const child = takeRequest(guest.kind === 'discard' ? 'write-zeroes' : guest.kind, this);
    child.tag = index;
    child.offset = this.pieceOffset;
    child.length = this.pieceLength;
    child.buffer = guest.buffer;
    child.at = guest.at;
    child.slab = guest.slab;
    child.fua = guest.fua;
    child.mayUnmap = guest.mayUnmap || guest.kind === 'discard';
    child.fastOnly = guest.fastOnly;
    edge.submit(child);
  }

  requestDone(child: BlockRequest): void {
    this.#outstanding &= ~(1 << child.tag);
    this.#supervisor.copyAnswered(this, child);
    releaseRequest(child);
    if (this.#outstanding === 0) this.#supervisor.pieceAnswered(this);
  }

  /** Answers the guest. Where a copy still works on the payload, its memory is kept until that copy answers. */
  answer(errno: number): void {
    const { request } = this;
    if (request === null) return;
    this.request = null;
    if (this.#outstanding !== 0 && request.slab !== null) {
      this.#slab = request.slab;
      this.#slab.retain();
    }
    request.complete(errno);
  }

  /** Lets go of the payload; the object can be used for another request. */
  end(): void {
    this.#slab?.release();
    this.#slab = null;
  }
}
