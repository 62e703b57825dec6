/**
 * WriteBehind: which writes go to the page cache at once, on the event loop, because they will not wait for a disk.
 *
 * They cover whole pages, so that nothing has to be read first, and few bytes wait to be written out, so that the kernel
 * does not slow the writer down. A sync in the background keeps those few. Where one took long nevertheless (a journal
 * that commits, a loaded machine), the pool does the writes of the next second.
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
  /** Written since the last sync started, and before that where it has not ended. */
  #unsyncedBytes = 0;
  #syncingBytes = 0;
  #resumesAtMs = Number.NEGATIVE_INFINITY;

  allows({ offset, length }: BlockRequest, nowMs: number): boolean {
    return (
      offset % PAGE_BYTES === 0 &&
      length % PAGE_BYTES === 0 &&
      length <= MAX_WRITE_BYTES &&
      this.#unsyncedBytes + this.#syncingBytes + length <= MAX_UNSYNCED_BYTES &&
      nowMs >= this.#resumesAtMs
    );
  }

  /** A write that `allows` let through took `tookMs` and ended at `nowMs`. */
  measured(tookMs: number, nowMs: number): void {
    if (tookMs >= SLOW_MS) this.#resumesAtMs = nowMs + PAUSE_MS;
  }

  /** `bytes` were written, in whatever way; true where a sync is wanted. */
  wrote(bytes: number): boolean {
    this.#unsyncedBytes += bytes;
    return this.#unsyncedBytes >= SYNC_AFTER_BYTES;
  }

  syncStarted(): void {
    this.#syncingBytes += this.#unsyncedBytes;
    this.#unsyncedBytes = 0;
  }

  syncEnded(): void {
    this.#syncingBytes = 0;
  }
}
