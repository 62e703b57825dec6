/**
 * DirtyBitmap: which parts of a disk may differ between its copies.
 *
 * One bit stands for `granularityBytes`; a range is dirty as a whole where any byte of it is. It covers every true
 * difference and may cover more.
 */

import { SparseBitmap } from '../base/sparse-bitmap.ts';

export const DIRTY_GRANULARITY_BYTES = 65536;

export class DirtyBitmap {
  readonly lengthBytes: number;
  readonly granularityBytes: number;
  readonly #bits = new SparseBitmap();

  constructor(lengthBytes: number, granularityBytes: number = DIRTY_GRANULARITY_BYTES) {
    this.lengthBytes = lengthBytes;
    this.granularityBytes = granularityBytes;
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
    const last = Math.floor((offset + length - 1) / this.granularityBytes);
    for (let bit = Math.floor(offset / this.granularityBytes); bit <= last; bit++) this.#bits.add(bit);
  }

  /** Adds all that `other`, of the same granularity, holds. */
  addAll(other: DirtyBitmap): void {
    for (const bit of other.#bits.values()) this.#bits.add(bit);
  }

  has(offset: number): boolean {
    return this.#bits.has(Math.floor(offset / this.granularityBytes));
  }

  clear(): void {
    this.#bits.clear();
  }
}
