/** The answer to a block-status: consecutive extents from the request's offset on. */

import { assert } from '../base/assert.ts';

/** Nothing is allocated there (NBD proto.md, base:allocation, NBD_STATE_HOLE). */
export const EXTENT_HOLE = 1;
/** It reads as zeroes (NBD_STATE_ZERO). */
export const EXTENT_ZERO = 2;

export class ExtentList {
  /** Bytes of each extent. */
  readonly lengths: number[] = [];
  /** EXTENT_HOLE and EXTENT_ZERO of each extent; 0 is data. */
  readonly flags: number[] = [];
  #totalBytes = 0;

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Adds `length` bytes, as part of the last extent where the flags are equal. */
  append(length: number, flags: number): void {
    assert(length > 0, 'An extent has a length');
    const last = this.lengths.length - 1;
    if (last >= 0 && this.flags[last] === flags) {
      this.lengths[last] = (this.lengths[last] as number) + length;
    } else {
      this.lengths.push(length);
      this.flags.push(flags);
    }
    this.#totalBytes += length;
  }

  /** Adds the extents of `other`. */
  appendAll(other: ExtentList): void {
    for (const [index, length] of other.lengths.entries()) this.append(length, other.flags[index] as number);
  }
}
