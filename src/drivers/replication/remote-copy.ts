/**
 * RemoteCopy: what the primary knows of one copy on another host.
 *
 * A write the remote acknowledged is *covered* once a remote flush that was sent after the acknowledgement has
 * succeeded. The others are what the remote may lose with its power; when the link is lost they count as dirty. The
 * copy is flushed without being asked every 32 MiB or second, so that they stay few.
 */

import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { DirtyBitmap } from '../../block/dirty-bitmap.ts';

const FLUSH_AFTER_BYTES = 32 * 1024 * 1024;
const FLUSH_AFTER_MS = 1000;

export class RemoteCopy implements RequestOwner {
  readonly edge: BlockEdge;
  /** Place among the node's children. */
  readonly index: number;
  /** Why the copy is lost; null while it is good. */
  error: string | null = null;
  /** A REPLICATION_ERROR has told of its first request that failed. */
  isFailureTold = false;
  readonly #onFlushError: (copy: RemoteCopy, errno: number) => void;
  /** Acknowledged and no flush sent since; and those that the flush in flight will cover. */
  #uncovered: DirtyBitmap;
  #covering: DirtyBitmap;
  #uncoveredBytes = 0;
  #uncoveredSinceMs = 0;
  #isFlushing = false;

  constructor(edge: BlockEdge, index: number, onFlushError: (copy: RemoteCopy, errno: number) => void) {
    this.edge = edge;
    this.index = index;
    this.#onFlushError = onFlushError;
    this.#uncovered = new DirtyBitmap(edge.node.lengthBytes);
    this.#covering = new DirtyBitmap(edge.node.lengthBytes);
  }

  get hasUncovered(): boolean {
    return this.#uncoveredBytes > 0;
  }

  /** The remote acknowledged a write of the range. */
  stored(offset: number, length: number, nowMs: number): void {
    if (this.#uncoveredBytes === 0) this.#uncoveredSinceMs = nowMs;
    this.#uncoveredBytes += length;
    this.#uncovered.add(offset, length);
  }

  /** A flush is about to be sent; false where one is in flight already, which then is the one that covers. */
  beginCovering(): boolean {
    if (this.#isFlushing) return false;
    this.#isFlushing = true;
    [this.#covering, this.#uncovered] = [this.#uncovered, this.#covering];
    this.#uncoveredBytes = 0;
    return true;
  }

  /** The flush that `beginCovering` announced has succeeded. */
  covered(): void {
    this.#isFlushing = false;
    this.#covering.clear();
  }

  /** Flushes the remote where enough has gathered. */
  flushIfDue(nowMs: number): void {
    if (this.error !== null || this.#uncoveredBytes === 0) return;
    const due = this.#uncoveredBytes >= FLUSH_AFTER_BYTES || nowMs - this.#uncoveredSinceMs >= FLUSH_AFTER_MS;
    if (due && this.beginCovering()) this.edge.submit(takeRequest('flush', this));
  }

  requestDone(flush: BlockRequest): void {
    const { errno } = flush;
    releaseRequest(flush);
    if (errno === 0) this.covered();
    else this.#onFlushError(this, errno);
  }

  /** The copy is lost: adds what it may lack to `dirty`. */
  lose(reason: string, dirty: DirtyBitmap): void {
    this.error ??= reason;
    dirty.addAll(this.#uncovered);
    dirty.addAll(this.#covering);
    this.#uncovered.clear();
    this.#covering.clear();
    this.#uncoveredBytes = 0;
  }
}
