/**
 * ZeroExtents: runs of chunks that read as zeroes and need no memory, each original or own.
 *
 * Disjoint, in ascending order; neighbours of one kind are merged. Ranges are [start, end) in chunks.
 */

export type ZeroExtent = { readonly start: number; readonly end: number; readonly own: boolean };

export class ZeroExtents {
  #extents: ZeroExtent[] = [];
  #originalChunks = 0;
  #ownChunks = 0;

  get length(): number {
    return this.#extents.length;
  }

  get originalChunks(): number {
    return this.#originalChunks;
  }

  get ownChunks(): number {
    return this.#ownChunks;
  }

  /** The extent that holds `chunk`. */
  find(chunk: number): ZeroExtent | undefined {
    const extent = this.#extents[this.#firstEndingAfter(chunk)];
    return extent !== undefined && extent.start <= chunk ? extent : undefined;
  }

  /** The first chunk from `chunk` on that an extent holds, or `end` where there is none before it. */
  nextFrom(chunk: number, end: number): number {
    const extent = this.#extents[this.#firstEndingAfter(chunk)];
    return extent === undefined ? end : Math.min(end, Math.max(chunk, extent.start));
  }

  /** Makes [start, end) one extent; what was there before is replaced. */
  put(start: number, end: number, own: boolean): void {
    if (start >= end) return;
    this.remove(start, end);
    const at = this.#firstEndingAfter(start);
    const before = this.#extents[at - 1];
    const after = this.#extents[at];
    const joinsBefore = before !== undefined && before.end === start && before.own === own;
    const joinsAfter = after !== undefined && after.start === end && after.own === own;
    const merged = { start: joinsBefore ? before.start : start, end: joinsAfter ? after.end : end, own };
    this.#extents.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), merged);
    this.#count(own, end - start);
  }

  /** Takes [start, end) out. */
  remove(start: number, end: number): void {
    let at = this.#firstEndingAfter(start);
    for (let extent = this.#extents[at]; extent !== undefined && extent.start < end; extent = this.#extents[at]) {
      const rest: ZeroExtent[] = [];
      if (extent.start < start) rest.push({ start: extent.start, end: start, own: extent.own });
      if (extent.end > end) rest.push({ start: end, end: extent.end, own: extent.own });
      this.#extents.splice(at, 1, ...rest);
      this.#count(extent.own, Math.max(extent.start, start) - Math.min(extent.end, end));
      at += rest.length;
    }
  }

  clear(): void {
    this.#extents = [];
    this.#originalChunks = 0;
    this.#ownChunks = 0;
  }

  values(): readonly ZeroExtent[] {
    return this.#extents;
  }

  #count(own: boolean, chunks: number): void {
    if (own) this.#ownChunks += chunks;
    else this.#originalChunks += chunks;
  }

  /** Index of the first extent that ends after `chunk`. */
  #firstEndingAfter(chunk: number): number {
    let low = 0;
    let high = this.#extents.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#extents[middle] as ZeroExtent).end > chunk) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
