/**
 * WriteBehind: which writes go to the page cache at once, on the event loop, because they will not wait for a disk.
 *
 * They cover whole pages, so that nothing has to be read first; no change is under way in the pool that holds the inode's
 * lock for long; and few bytes wait to be written out, so that the kernel does not slow the writer down. A sync in the
 * background keeps those few. Where a write took long nevertheless (a journal that commits, a loaded machine), the pool
 * does those of the next second. Zeroes that have to be written are not counted as unsynced.
 */

import type { BlockRequest } from '../../block/block-request.ts';

const PAGE_BYTES = 4096;
const MAX_WRITE_BYTES = 256 * 1024;
/** With more than this unsynced, writes go through the pool. */
export const MAX_UNSYNCED_BYTES: number = 32 * 1024 * 1024;
/** From this on a sync is wanted. */
export const SYNC_AFTER_BYTES: number = MAX_UNSYNCED_BYTES / 2;
const SLOW_MS = 5;
const PAUSE_MS = 1000;

export class WriteBehind {
  /** Of writes on their way; written since the last sync started; and before that, where it has not ended. */
  #pendingBytes = 0;
  #unsyncedBytes = 0;
  #syncingBytes = 0;
  /** Changes in the pool that hold the inode's lock while they wait for the disk: a write would wait with them. */
  #lockHolders = 0;
  #resumesAtMs = Number.NEGATIVE_INFINITY;

  allows(request: BlockRequest, nowMs: number): boolean {
    return (
      this.#lockHolders === 0 &&
      isQuick(request) &&
      this.#pendingBytes + this.#unsyncedBytes + this.#syncingBytes <= MAX_UNSYNCED_BYTES &&
      nowMs >= this.#resumesAtMs
    );
  }

  /** A request that changes data is on its way; `ended` tells of its end. */
  entered(request: BlockRequest): void {
    if (request.kind === 'write') this.#pendingBytes += request.length;
    if (!isQuick(request)) this.#lockHolders += 1;
  }

  /** A request that `entered` was told of is over; true where a sync is wanted. */
  ended(request: BlockRequest): boolean {
    if (!isQuick(request)) this.#lockHolders -= 1;
    if (request.kind === 'write') {
      this.#pendingBytes -= request.length;
      this.#unsyncedBytes += request.length;
    }
    return this.#unsyncedBytes >= SYNC_AFTER_BYTES;
  }

  /** A write that `allows` let through took `tookMs` and ended at `nowMs`. */
  measured(tookMs: number, nowMs: number): void {
    if (tookMs >= SLOW_MS) this.#resumesAtMs = nowMs + PAUSE_MS;
  }

  syncStarted(): void {
    this.#syncingBytes += this.#unsyncedBytes;
    this.#unsyncedBytes = 0;
  }

  syncEnded(): void {
    this.#syncingBytes = 0;
  }
}

/** True for a write that is a copy to memory and no more: whole pages, and not many. */
function isQuick({ kind, offset, length }: BlockRequest): boolean {
  return kind === 'write' && offset % PAGE_BYTES === 0 && length % PAGE_BYTES === 0 && length <= MAX_WRITE_BYTES;
}
