/**
 * RemoteCopy: what the primary knows of one copy on another host.
 *
 * It is flushed without being asked every 32 MiB or second, so that the writes that no flush covers stay few: they count
 * as dirty when the link is lost.
 */

import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import type { DirtyBitmap } from '../../block/dirty-bitmap.ts';
import { FlushCoverage } from './flush-coverage.ts';

const FLUSH_AFTER_BYTES = 32 * 1024 * 1024;
const FLUSH_AFTER_MS = 1000;

export class RemoteCopy implements RequestOwner {
  readonly edge: BlockEdge;
  /** Place among the node's children. */
  readonly index: number;
  readonly coverage: FlushCoverage;
  /** Why the copy is lost; null while it is good. */
  error: string | null = null;
  /** A REPLICATION_ERROR has told of its first request that failed. */
  isFailureTold = false;
  readonly #onFlushError: (copy: RemoteCopy, errno: number) => void;
  #uncoveredSinceMs = 0;

  constructor(edge: BlockEdge, index: number, onFlushError: (copy: RemoteCopy, errno: number) => void) {
    this.edge = edge;
    this.index = index;
    this.coverage = new FlushCoverage(edge.node.lengthBytes);
    this.#onFlushError = onFlushError;
  }

  get hasUncovered(): boolean {
    return this.coverage.uncoveredBytes > 0;
  }

  /** The remote acknowledged a write of the range. */
  stored(offset: number, length: number, nowMs: number): void {
    if (!this.hasUncovered) this.#uncoveredSinceMs = nowMs;
    this.coverage.stored(offset, length);
  }

  /** Flushes the remote where enough has gathered. */
  flushIfDue(nowMs: number): void {
    if (this.error !== null || !this.hasUncovered) return;
    const isDue = this.coverage.uncoveredBytes >= FLUSH_AFTER_BYTES || nowMs - this.#uncoveredSinceMs >= FLUSH_AFTER_MS;
    if (isDue && this.coverage.begin()) this.edge.submit(takeRequest('flush', this));
  }

  requestDone(flush: BlockRequest): void {
    const { errno } = flush;
    releaseRequest(flush);
    if (errno === 0) this.coverage.covered();
    else this.#onFlushError(this, errno);
  }

  /** The copy is lost: adds what it may lack to `dirty`. */
  lose(reason: string, dirty: DirtyBitmap): void {
    this.error ??= reason;
    this.coverage.loseTo(dirty);
  }
}
