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

  /** Dirty bytes of the disk: its last granule counts as far as the disk goes. */
  get remainingBytes(): number {
    const { granularityBytes, lengthBytes } = this;
    const last = Math.ceil(lengthBytes / granularityBytes) - 1;
    const excess = this.#bits.has(last) ? (last + 1) * granularityBytes - lengthBytes : 0;
    return this.dirtyBytes - excess;
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

  /** Makes the granules clean that the range touches. */
  remove(offset: number, length: number): void {
    const end = Math.ceil((offset + length) / this.granularityBytes);
    for (let granule = Math.floor(offset / this.granularityBytes); granule < end; granule++) this.#bits.delete(granule);
  }

  /** Where the first dirty granule from that of `offset` on begins; the disk's length where there is none. */
  nextDirty(offset: number): number {
    const granule = Math.floor(offset / this.granularityBytes);
    if (this.#bits.has(granule)) return granule * this.granularityBytes;
    return this.#runEnd(granule);
  }

  /** Where the dirty granules end that begin with that of `offset`; at most the disk's length. */
  dirtyEnd(offset: number): number {
    return this.#runEnd(Math.floor(offset / this.granularityBytes));
  }

  #runEnd(granule: number): number {
    const end = this.#bits.runEnd(granule, Math.ceil(this.lengthBytes / this.granularityBytes));
    return Math.min(end * this.granularityBytes, this.lengthBytes);
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
