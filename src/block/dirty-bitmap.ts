/**
 * DirtyBitmap: which parts of a disk may differ between its copies.
 *
 * One bit stands for `granularityBytes`; a range is dirty as a whole where any byte of it is. It covers every true
 * difference and may cover more.
 */

import { SparseBitmap } from '../base/sparse-bitmap.ts';
import type { ExtentList } from './extent-list.ts';

export const DIRTY_GRANULARITY_BYTES = 65536;

export class DirtyBitmap {
  #lengthBytes: number;
  readonly granularityBytes: number;
  readonly #bits = new SparseBitmap();

  constructor(lengthBytes: number, granularityBytes: number = DIRTY_GRANULARITY_BYTES) {
    this.#lengthBytes = lengthBytes;
    this.granularityBytes = granularityBytes;
  }

  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  get isEmpty(): boolean {
    return this.#bits.count === 0;
  }

  /** Dirty bytes, in whole granules. */
  get dirtyBytes(): number {
    return this.#bits.count * this.granularityBytes;
  }

  add(offset: number, length: number): void {
    if (length === 0) return;
    const first = Math.floor(offset / this.granularityBytes);
    this.#bits.addRange(first, Math.floor((offset + length - 1) / this.granularityBytes) + 1);
  }

  /** Adds all that `other`, of the same granularity, holds. */
  addAll(other: DirtyBitmap): void {
    for (const bit of other.#bits.values()) this.#bits.add(bit);
  }

  /** Adds what `other`, of the same disk and any granularity, holds. */
  merge(other: DirtyBitmap): void {
    if (other.granularityBytes === this.granularityBytes) {
      this.addAll(other);
      return;
    }
    const granules = Math.ceil(other.lengthBytes / other.granularityBytes);
    for (let at = 0; at < granules; ) {
      const end = other.#bits.runEnd(at, granules);
      if (other.#bits.has(at)) {
        const offset = at * other.granularityBytes;
        this.add(offset, Math.min(end * other.granularityBytes, this.lengthBytes) - offset);
      }
      at = end;
    }
  }

  /** Adds to `extents` which of the `length` bytes from `offset` on are dirty (1) and which are not (0). */
  describe(offset: number, length: number, extents: ExtentList, maxExtents: number): void {
    const end = offset + length;
    const endGranule = Math.ceil(end / this.granularityBytes);
    for (let at = offset; at < end && extents.lengths.length < maxExtents; ) {
      const granule = Math.floor(at / this.granularityBytes);
      const next = Math.min(end, this.#bits.runEnd(granule, endGranule) * this.granularityBytes);
      extents.append(next - at, this.#bits.has(granule) ? 1 : 0);
      at = next;
    }
  }

  has(offset: number): boolean {
    return this.#bits.has(Math.floor(offset / this.granularityBytes));
  }

  /** The disk has become larger; what is new of it is not dirty. */
  grow(lengthBytes: number): void {
    this.#lengthBytes = lengthBytes;
  }

  clear(): void {
    this.#bits.clear();
  }
}
