/** IoCounters: how many requests the roots of the graph had of a node, and how they ended. */

import { ENOTSUP } from '../base/errno.ts';
import type { RequestKind } from './block-request.ts';

/** Plain fields, since every request counts. Times are not measured. */
export class IoCounters {
  /** Requests that succeeded, and their bytes. */
  reads = 0;
  readBytes = 0;
  /** Writes and write-zeroes. */
  writes = 0;
  writtenBytes = 0;
  flushes = 0;
  discards = 0;
  discardedBytes = 0;
  /** Requests that failed. */
  failedReads = 0;
  failedWrites = 0;
  failedFlushes = 0;
  failedDiscards = 0;
  /** Where the furthest write that succeeded ended. */
  highestWriteEnd = 0;

  /** Counts a request of `kind` for the `length` bytes from `offset` on that completed with `errno`. */
  count(kind: RequestKind, offset: number, length: number, errno: number): void {
    switch (kind) {
      case 'read':
        if (errno === 0) {
          this.reads += 1;
          this.readBytes += length;
        } else this.failedReads += 1;
        break;
      case 'write':
      case 'write-zeroes':
        if (errno === 0) {
          this.writes += 1;
          this.writtenBytes += length;
          if (offset + length > this.highestWriteEnd) this.highestWriteEnd = offset + length;
        } else if (errno !== ENOTSUP) this.failedWrites += 1;
        break;
      case 'flush':
        if (errno === 0) this.flushes += 1;
        else this.failedFlushes += 1;
        break;
      case 'discard':
        if (errno === 0) {
          this.discards += 1;
          this.discardedBytes += length;
        } else this.failedDiscards += 1;
    }
  }
}
