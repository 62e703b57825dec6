/**
 * UnflushedMisses: which acknowledged writes a successful flush would not make durable on enough children.
 *
 * A write counts when as many children as the threshold says have it, and a flush when as many have flushed. They may be
 * different children: QEMU then vouches for data that no child has on its disk. So the writes that some children
 * missed are remembered, by the set of those children, until a flush has covered them.
 *
 * A set of children is a mask with a bit for each.
 */

export class UnflushedMisses {
  /** Children that missed a write → number of the last write that exactly they missed. */
  readonly #misses = new Map<number, number>();
  #lastWrite = 0;

  /** An acknowledged write is not on the children in `mask`. */
  add(mask: number): void {
    this.#misses.set(mask, ++this.#lastWrite);
  }

  /** Where a flush begins: what it covers if it succeeds. */
  get position(): number {
    return this.#lastWrite;
  }

  /**
   * True where every acknowledged write is on `threshold` of the children in `flushed`, or on all of those in `present`
   * that have it.
   */
  areCoveredBy(flushed: number, present: number, threshold: number): boolean {
    if (countBits(flushed) < threshold) return false;
    for (const missed of this.#misses.keys()) {
      const needed = Math.min(threshold, countBits(present & ~missed));
      if (countBits(flushed & ~missed) < needed) return false;
    }
    return true;
  }

  /** A flush that began at `position` succeeded. */
  forget(position: number): void {
    for (const [mask, write] of this.#misses) if (write <= position) this.#misses.delete(mask);
  }

  /** A child came that has none of the writes so far. */
  childAdded(bit: number): void {
    const masks = [0, ...this.#misses.keys()];
    this.#misses.clear();
    for (const mask of masks) this.add(mask | bit);
  }

  /** A child is gone; its bit may be given to another. */
  childRemoved(bit: number): void {
    const masks = [...this.#misses.keys()];
    this.#misses.clear();
    for (const mask of masks) if ((mask & ~bit) !== 0) this.add(mask & ~bit);
  }
}

function countBits(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
