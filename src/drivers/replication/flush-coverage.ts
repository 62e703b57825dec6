/**
 * FlushCoverage: which writes a copy has acknowledged and may still lose with its power.
 *
 * A write is *covered* once a flush that was sent after it was acknowledged has succeeded. One flush at a time covers:
 * a second one that is sent before the first has returned leaves the later writes to the next.
 */

import { DirtyBitmap } from '../../block/dirty-bitmap.ts';

export class FlushCoverage {
  /** Acknowledged and no flush sent since; and those that the flush in flight will cover. */
  #uncovered: DirtyBitmap;
  #covering: DirtyBitmap;
  #uncoveredBytes = 0;
  #isFlushing = false;

  constructor(lengthBytes: number) {
    this.#uncovered = new DirtyBitmap(lengthBytes);
    this.#covering = new DirtyBitmap(lengthBytes);
  }

  /** Bytes written since the last flush was sent. */
  get uncoveredBytes(): number {
    return this.#uncoveredBytes;
  }

  /** The copy acknowledged a write of the range. */
  stored(offset: number, length: number): void {
    this.#uncoveredBytes += length;
    this.#uncovered.add(offset, length);
  }

  /** A flush is about to be sent; false where one is in flight already, which then is the one that covers. */
  begin(): boolean {
    if (this.#isFlushing) return false;
    this.#isFlushing = true;
    [this.#covering, this.#uncovered] = [this.#uncovered, this.#covering];
    this.#uncoveredBytes = 0;
    return true;
  }

  /** The flush that `begin` announced has succeeded. */
  covered(): void {
    this.#isFlushing = false;
    this.#covering.clear();
  }

  /** The flush that `begin` announced has failed. What it was to cover is not covered; `loseTo` tells what that is. */
  failed(): void {
    this.#isFlushing = false;
  }

  /** The copy is lost, or a sync of it failed: adds what it may lack to `dirty`. */
  loseTo(dirty: DirtyBitmap): void {
    dirty.addAll(this.#uncovered);
    dirty.addAll(this.#covering);
    this.#uncovered.clear();
    this.#covering.clear();
    this.#uncoveredBytes = 0;
  }
}
