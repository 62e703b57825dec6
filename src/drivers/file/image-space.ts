/**
 * ImageSpace: discards and fast zeroing of an image, by whatever its file system or device can do.
 *
 * What was refused once as unsupported is not tried again.
 */

import { EINVAL, ENOTSUP } from '../../base/errno.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { type AllocationChange, changeAllocation, changeAllocationInPool } from '../../os/allocation.ts';
import { discardSectorsInPool } from '../../os/block-device.ts';
import type { PoolShare } from '../../os/thread-pool.ts';
import type { OpenImage } from './open-image.ts';

type Done = (errno: number) => void;

/** Ways to make a range read as zeroes, best first; all changes of a way are made in turn. */
type ZeroingWays = readonly (readonly AllocationChange[])[];

const UNMAPPING: ZeroingWays = [['punch-hole'], ['zero-range']];
const KEEPING: ZeroingWays = [['zero-range'], ['punch-hole', 'allocate']];

export class ImageSpace {
  readonly #image: OpenImage;
  readonly #share: PoolShare;
  readonly #refused = new Set<AllocationChange | 'discard'>();

  /** What cannot be done at once is done in threads of `share`. */
  constructor(image: OpenImage, share: PoolShare) {
    this.#image = image;
    this.#share = share;
  }

  /** Gives the space of `request` back if that can be done; success says nothing about what is read there later. */
  discard(request: BlockRequest, inline: boolean, done: Done): void {
    const succeedAnyway = (errno: number): void => done(isUnsupported(errno) ? 0 : errno);
    if (this.#image.kind === 'file') this.#change('punch-hole', request, inline, succeedAnyway);
    else this.#discardSectors(request, succeedAnyway);
  }

  /** Makes the range of `request` read as zeroes; ENOTSUP where only writing them is left. */
  zero(request: BlockRequest, inline: boolean, done: Done): void {
    const ways = request.mayUnmap ? UNMAPPING : KEEPING;
    const tryWay = (index: number): void => {
      const way = ways[index];
      if (way === undefined) done(ENOTSUP);
      else {
        this.#changeAll(way, 0, request, inline, errno => {
          if (isUnsupported(errno)) tryWay(index + 1);
          else done(errno);
        });
      }
    };
    tryWay(0);
  }

  #changeAll(
    changes: readonly AllocationChange[],
    index: number,
    request: BlockRequest,
    inline: boolean,
    done: Done,
  ): void {
    const change = changes[index];
    if (change === undefined) {
      done(0);
      return;
    }
    this.#change(change, request, inline, errno => {
      if (errno === 0) this.#changeAll(changes, index + 1, request, inline, done);
      else done(errno);
    });
  }

  #change(change: AllocationChange, request: BlockRequest, inline: boolean, done: Done): void {
    if (this.#refused.has(change)) {
      done(ENOTSUP);
      return;
    }
    const { fd } = this.#image;
    const { offset, length } = request;
    if (inline) done(this.#noted(change, changeAllocation(fd, change, offset, length)));
    else changeAllocationInPool(this.#share, fd, change, offset, length, errno => done(this.#noted(change, errno)));
  }

  #discardSectors(request: BlockRequest, done: Done): void {
    const { fd, sectorBytes } = this.#image;
    const start = Math.ceil(request.offset / sectorBytes) * sectorBytes;
    const end = Math.floor((request.offset + request.length) / sectorBytes) * sectorBytes;
    if (end <= start || this.#refused.has('discard')) done(0);
    else discardSectorsInPool(this.#share, fd, start, end - start, errno => done(this.#noted('discard', errno)));
  }

  #noted(change: AllocationChange | 'discard', errno: number): number {
    if (errno === ENOTSUP) this.#refused.add(change);
    return errno;
  }
}

/** A block device says EINVAL to a range that is not of whole sectors. */
function isUnsupported(errno: number): boolean {
  return errno === ENOTSUP || errno === EINVAL;
}
