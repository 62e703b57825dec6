/**
 * SlotAllocator: hands out the slots of slabs that it takes from a shared source, for one generation.
 *
 * Slots come one at a time or in consecutive runs, and go back one at a time; all slabs go back to the source at once.
 */

/** Where slabs of slots come from: the buffer's memory, or its spill file. */
export interface SlabSource {
  readonly slotsPerSlab: number;
  /** A slot that was given back may be handed out again at once: nobody reads slots in the background. */
  readonly reusesSlots: boolean;
  /** The number of a slab that nobody uses. */
  takeSlab(): number;
  giveBack(slabs: readonly number[]): void;
}

export class SlotAllocator {
  /** How many slots the last `take` gave. */
  taken = 0;
  readonly #source: SlabSource;
  #slabs: number[] = [];
  #freeSlots: number[] = [];
  /** Slots handed out of the last slab. */
  #usedOfLast: number;
  #used = 0;

  constructor(source: SlabSource) {
    this.#source = source;
    this.#usedOfLast = source.slotsPerSlab;
  }

  /** Slots handed out and not given back. */
  get used(): number {
    return this.#used;
  }

  /** Takes one to `wanted` consecutive slots: the first is returned, `taken` says how many. */
  take(wanted: number): number {
    const free = this.#freeSlots.pop();
    if (free !== undefined) {
      this.taken = 1;
      this.#used += 1;
      return free;
    }
    const { slotsPerSlab } = this.#source;
    if (this.#usedOfLast === slotsPerSlab) {
      this.#slabs.push(this.#source.takeSlab());
      this.#usedOfLast = 0;
    }
    const first = (this.#slabs.at(-1) as number) * slotsPerSlab + this.#usedOfLast;
    this.taken = Math.min(wanted, slotsPerSlab - this.#usedOfLast);
    this.#usedOfLast += this.taken;
    this.#used += this.taken;
    return first;
  }

  release(slot: number): void {
    this.#used -= 1;
    if (this.#source.reusesSlots) this.#freeSlots.push(slot);
  }

  /** Takes over all slabs of `other`, with the slots that are used and free in them. */
  absorb(other: SlotAllocator): void {
    const { slotsPerSlab } = this.#source;
    const last = other.#slabs.at(-1);
    for (let i = other.#usedOfLast; last !== undefined && i < slotsPerSlab; i++) {
      other.#freeSlots.push(last * slotsPerSlab + i);
    }
    this.#slabs.unshift(...other.#slabs);
    if (this.#slabs.length === other.#slabs.length) this.#usedOfLast = slotsPerSlab;
    for (const slot of other.#freeSlots) this.#freeSlots.push(slot);
    this.#used += other.#used;
    other.#forget();
  }

  /** Gives all slabs back, used or not. */
  recycle(): void {
    this.#source.giveBack(this.#slabs);
    this.#forget();
  }

  #forget(): void {
    this.#slabs = [];
    this.#freeSlots = [];
    this.#usedOfLast = this.#source.slotsPerSlab;
    this.#used = 0;
  }
}
