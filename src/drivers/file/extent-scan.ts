/** ExtentScan: answers a block-status from where the file system keeps data and where it has holes. */

import { assert } from '../../base/assert.ts';
import { EINVAL, ENOTSUP, ENXIO } from '../../base/errno.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { EXTENT_HOLE, EXTENT_ZERO, type ExtentList } from '../../block/extent-list.ts';
import { type SparseEdge, seekSparse, seekSparseInPool } from '../../os/sparse-extents.ts';
import type { PoolShare } from '../../os/thread-pool.ts';

/** A badly fragmented range is answered in part; who asked asks again for the rest. */
const MAX_EXTENTS = 1024;

export class ExtentScan {
  readonly #fd: number;
  readonly #extents: ExtentList;
  readonly #end: number;
  #position: number;
  /** What there is at `position`, as far as known. */
  #inData = false;
  #errno = 0;

  constructor(fd: number, request: BlockRequest) {
    assert(request.extents !== null, 'A block-status brings the list for its answer');
    this.#fd = fd;
    this.#extents = request.extents;
    this.#position = request.offset;
    this.#end = request.offset + request.length;
  }

  /** Scans at once, on the event loop, and returns the errno. */
  runNow(): number {
    while (this.#isUnfinished()) {
      const { position, errno } = seekSparse(this.#fd, this.#wanted(), this.#position);
      this.#found(position, errno);
    }
    return this.#errno;
  }

  /** Scans in threads of `share`. */
  runInPool(share: PoolShare, done: (errno: number) => void): void {
    const step = (): void => {
      if (!this.#isUnfinished()) {
        done(this.#errno);
        return;
      }
      seekSparseInPool(share, this.#fd, this.#wanted(), this.#position, (position, errno) => {
        this.#found(position, errno);
        step();
      });
    };
    step();
  }

  #isUnfinished(): boolean {
    return this.#errno === 0 && this.#position < this.#end && this.#extents.lengths.length < MAX_EXTENTS;
  }

  #wanted(): SparseEdge {
    return this.#inData ? 'hole' : 'data';
  }

  #found(position: number, errno: number): void {
    if (errno === EINVAL || errno === ENOTSUP) {
      // A device or file system that does not tell: all may be data.
      this.#inData = true;
      this.#advance(this.#end);
    } else if (errno === ENXIO) {
      this.#inData = false;
      this.#advance(this.#end);
    } else if (errno !== 0) {
      this.#errno = errno;
    } else {
      this.#advance(Math.min(position, this.#end));
    }
  }

  #advance(to: number): void {
    if (to > this.#position) this.#extents.append(to - this.#position, this.#inData ? 0 : EXTENT_HOLE | EXTENT_ZERO);
    this.#position = to;
    this.#inData = !this.#inData;
  }
}
