/**
 * SparseMemory: bytes over a huge range, of which only the pages that were written take memory.
 *
 * Pages are places in slabs and found by number, so that a million of them are no burden for the garbage collector. A
 * page that is zeroed as a whole is given back and its place used again.
 */

const PAGE_BYTES = 4096;
const PAGES_PER_SLAB = 256;

export class SparseMemory {
  /** Page number to place. */
  readonly #places = new Map<number, number>();
  readonly #slabs: Buffer[] = [];
  readonly #freePlaces: number[] = [];

  /** Memory that pages take, in bytes. */
  get usedBytes(): number {
    return this.#places.size * PAGE_BYTES;
  }

  read(offset: number, length: number, target: Buffer, at: number): void {
    for (let done = 0; done < length; ) {
      const inPage = (offset + done) % PAGE_BYTES;
      const part = Math.min(PAGE_BYTES - inPage, length - done);
      const place = this.#places.get(Math.floor((offset + done) / PAGE_BYTES));
      if (place === undefined) target.fill(0, at + done, at + done + part);
      else {
        const from = placeOffset(place) + inPage;
        this.#slabOf(place).copy(target, at + done, from, from + part);
      }
      done += part;
    }
  }

  /** Throws RangeError where the process has no memory left. */
  write(offset: number, length: number, source: Buffer, at: number): void {
    for (let done = 0; done < length; ) {
      const inPage = (offset + done) % PAGE_BYTES;
      const part = Math.min(PAGE_BYTES - inPage, length - done);
      const place = this.#placeOf(Math.floor((offset + done) / PAGE_BYTES), part === PAGE_BYTES);
      source.copy(this.#slabOf(place), placeOffset(place) + inPage, at + done, at + done + part);
      done += part;
    }
  }

  /** Makes a range read as zeroes and frees its whole pages. */
  zero(offset: number, length: number): void {
    const end = offset + length;
    const firstWhole = Math.ceil(offset / PAGE_BYTES);
    const endWhole = Math.floor(end / PAGE_BYTES);
    if (firstWhole > endWhole) {
      this.#zeroPart(offset, end);
      return;
    }
    this.#zeroPart(offset, firstWhole * PAGE_BYTES);
    this.#zeroPart(endWhole * PAGE_BYTES, end);
    if (endWhole - firstWhole > this.#places.size) {
      for (const page of this.#places.keys()) if (page >= firstWhole && page < endWhole) this.#free(page);
    } else {
      for (let page = firstWhole; page < endWhole; page++) this.#free(page);
    }
  }

  /** How many bytes from `offset` on, up to `length`, are alike, and whether they take memory. */
  runAt(offset: number, length: number): { length: number; allocated: boolean } {
    const first = Math.floor(offset / PAGE_BYTES);
    const allocated = this.#places.has(first);
    if (this.#places.size === 0) return { length, allocated };
    const end = offset + length;
    let page = first + 1;
    while (page * PAGE_BYTES < end && this.#places.has(page) === allocated) page += 1;
    return { length: Math.min(page * PAGE_BYTES, end) - offset, allocated };
  }

  #placeOf(page: number, overwritten: boolean): number {
    const known = this.#places.get(page);
    if (known !== undefined) return known;
    if (this.#freePlaces.length === 0) this.#grow();
    const place = this.#freePlaces.pop() as number;
    this.#places.set(page, place);
    if (!overwritten) this.#slabOf(place).fill(0, placeOffset(place), placeOffset(place) + PAGE_BYTES);
    return place;
  }

  #grow(): void {
    this.#slabs.push(Buffer.allocUnsafeSlow(PAGES_PER_SLAB * PAGE_BYTES));
    const end = this.#slabs.length * PAGES_PER_SLAB;
    for (let place = end - 1; place >= end - PAGES_PER_SLAB; place--) this.#freePlaces.push(place);
  }

  #zeroPart(from: number, to: number): void {
    const page = Math.floor(from / PAGE_BYTES);
    const place = from < to ? this.#places.get(page) : undefined;
    if (place === undefined) return;
    const start = placeOffset(place) - page * PAGE_BYTES;
    this.#slabOf(place).fill(0, start + from, start + to);
  }

  #free(page: number): void {
    const place = this.#places.get(page);
    if (place === undefined) return;
    this.#places.delete(page);
    this.#freePlaces.push(place);
  }

  #slabOf(place: number): Buffer {
    return this.#slabs[Math.floor(place / PAGES_PER_SLAB)] as Buffer;
  }
}

/** Where a place begins in its slab. */
function placeOffset(place: number): number {
  return (place % PAGES_PER_SLAB) * PAGE_BYTES;
}
