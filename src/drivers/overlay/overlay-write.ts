/**
 * OverlayWrite: a write, write-zeroes or discard of an overlay.
 *
 *   waiting ───► filling ───────────────────► writing ──────────────────► done
 *   (for writes   (rest of the first and last  (data and fills into the    (chunks marked, writes to the
 *    to the same   chunk from the backing)      storage)                    same chunks started)
 *    chunks)
 */

import type { BlockEdge } from '../../block/block-edge.ts';
import {
  type BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from '../../block/block-request.ts';
import type { ByteRange } from '../../block/overlap-tracker.ts';
import { CHUNK_BYTES, chunkAt, lastChunk } from './chunks.ts';
import type { OverlayNode } from './overlay-node.ts';

/** The part of a chunk that the write itself does not cover, on its way from the backing to the storage. */
type Fill = { readonly offset: number; readonly bytes: Buffer };

export class OverlayWrite implements RequestOwner, ByteRange {
  /** The range of all chunks it touches. */
  readonly offset: number;
  readonly length: number;
  readonly #node: OverlayNode;
  readonly #request: BlockRequest;
  #fills: readonly Fill[] = [];
  #phase: 'waiting' | 'filling' | 'writing' = 'waiting';
  /** Children on their way, and one more while a phase sends its own. */
  #pending = 0;
  #errno = 0;

  constructor(node: OverlayNode, request: BlockRequest) {
    this.#node = node;
    this.#request = request;
    this.offset = chunkAt(request.offset) * CHUNK_BYTES;
    this.length = (lastChunk(request) + 1) * CHUNK_BYTES - this.offset;
  }

  start(): void {
    if (this.#node.writes.enter(this)) this.#fill();
  }

  requestDone(child: BlockRequest): void {
    this.#errno ||= child.errno;
    releaseRequest(child);
    this.#childEnded();
  }

  #fill(): void {
    this.#phase = 'filling';
    this.#fills = this.#neededFills();
    this.#pending = 1;
    for (const fill of this.#fills) this.#submit(this.#node.backing, 'read', fill.offset, fill.bytes);
    this.#childEnded();
  }

  #write(): void {
    this.#phase = 'writing';
    this.#pending = 1;
    for (const fill of this.#fills) this.#submit(this.#node.storage, 'write', fill.offset, fill.bytes);
    this.#submitData();
    this.#childEnded();
  }

  #childEnded(): void {
    this.#pending -= 1;
    if (this.#pending > 0) return;
    if (this.#phase === 'filling' && this.#errno === 0) this.#write();
    else this.#finish();
  }

  #finish(): void {
    if (this.#errno === 0) this.#node.markWritten(this.#request);
    const admitted = this.#node.writes.leave(this);
    this.#request.complete(this.#errno);
    for (const write of admitted) write.#fill();
  }

  /** What lies before and after the request in its first and last chunk, where the backing is still in view there. */
  #neededFills(): Fill[] {
    const { offset, length } = this.#request;
    const end = offset + length;
    const fills: Fill[] = [];
    if (this.offset < offset && !this.#node.isWritten(chunkAt(offset))) {
      fills.push({ offset: this.offset, bytes: Buffer.allocUnsafe(offset - this.offset) });
    }
    const chunkEnd = Math.min(this.offset + this.length, this.#node.lengthBytes);
    if (end < chunkEnd && !this.#node.isWritten(lastChunk(this.#request))) {
      fills.push({ offset: end, bytes: Buffer.allocUnsafe(chunkEnd - end) });
    }
    return fills;
  }

  #submitData(): void {
    const request = this.#request;
    // A discard must hide the backing too, so it is a writing of zeroes.
    const child = takeRequest(request.kind === 'write' ? 'write' : 'write-zeroes', this);
    child.offset = request.offset;
    child.length = request.length;
    child.buffer = request.buffer;
    child.at = request.at;
    child.slab = request.slab;
    child.fua = request.fua;
    child.mayUnmap = request.kind === 'discard' || request.mayUnmap;
    child.fastOnly = request.fastOnly;
    this.#pending += 1;
    this.#node.storage.submit(child);
  }

  #submit(edge: BlockEdge, kind: RequestKind, offset: number, bytes: Buffer): void {
    const child = takeRequest(kind, this);
    child.offset = offset;
    child.length = bytes.length;
    child.buffer = bytes;
    child.fua = kind === 'write' && this.#request.fua;
    this.#pending += 1;
    edge.submit(child);
  }
}
