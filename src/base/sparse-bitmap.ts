/**
 * A set of small integers over a huge range: pages of bits, made when first touched.
 *
 * Memory follows the bits that are set, not the range: a page covers 32768 numbers and takes 4 KiB.
 */

const PAGE_BITS = 32768;
const WORDS_PER_PAGE = PAGE_BITS / 32;

export class SparseBitmap {
  readonly #pages = new Map<number, Uint32Array>();
  #count = 0;

  /** How many numbers are in the set. */
  get count(): number {
    return this.#count;
  }

  has(number: number): boolean {
    const page = this.#pages.get(Math.floor(number / PAGE_BITS));
    if (page === undefined) return false;
    const bit = number % PAGE_BITS;
    return ((page[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }

  add(number: number): void {
    const page = this.#pageFor(number);
    const bit = number % PAGE_BITS;
    const mask = 1 << (bit & 31);
    const word = page[bit >>> 5] as number;
    if ((word & mask) === 0) {
      page[bit >>> 5] = word | mask;
      this.#count += 1;
    }
  }

  /** Adds all numbers from `first` to before `end`. */
  addRange(first: number, end: number): void {
    for (let at = first; at < end; ) {
      const page = this.#pageFor(at);
      const bit = at % PAGE_BITS;
      const bits = Math.min(32 - (bit & 31), end - at);
      const mask = (bits === 32 ? -1 : (1 << bits) - 1) << (bit & 31);
      const word = page[bit >>> 5] as number;
      this.#count += bitCount(mask & ~word);
      page[bit >>> 5] = word | mask;
      at += bits;
    }
  }

  /** The first number behind `number` of which `has` says something else than of it; at most `limit`. */
  runEnd(number: number, limit: number): number {
    const isIn = this.has(number);
    for (let at = number; at < limit; ) {
      const page = this.#pages.get(Math.floor(at / PAGE_BITS));
      const bit = at % PAGE_BITS;
      if (page === undefined) {
        if (isIn) return at;
        at += PAGE_BITS - bit;
        continue;
      }
      const word = page[bit >>> 5] as number;
      const different = (isIn ? ~word : word) & (-1 << (bit & 31));
      if (different !== 0) return Math.min(limit, at - (bit & 31) + 31 - Math.clz32(different & -different));
      at += 32 - (bit & 31);
    }
    return limit;
  }

  delete(number: number): void {
    const page = this.#pages.get(Math.floor(number / PAGE_BITS));
    if (page === undefined) return;
    const bit = number % PAGE_BITS;
    const mask = 1 << (bit & 31);
    const word = page[bit >>> 5] as number;
    if ((word & mask) !== 0) {
      page[bit >>> 5] = word & ~mask;
      this.#count -= 1;
    }
  }

  clear(): void {
    this.#pages.clear();
    this.#count = 0;
  }

  /** The numbers of the set in ascending order. */
  *values(): Generator<number> {
    for (const index of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(index);
      if (page === undefined) continue;
      for (let word = 0; word < WORDS_PER_PAGE; word++) {
        for (let bits = page[word] as number; bits !== 0; bits &= bits - 1) {
          yield index * PAGE_BITS + word * 32 + (31 - Math.clz32(bits & -bits));
        }
      }
    }
  }

  #pageFor(number: number): Uint32Array {
    const index = Math.floor(number / PAGE_BITS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint32Array(WORDS_PER_PAGE);
      this.#pages.set(index, page);
    }
    return page;
  }
}

/** How many bits of a 32-bit word are set. */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
