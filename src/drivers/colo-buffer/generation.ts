/**
 * Generation: the entries of one epoch of the COLO buffer, by chunk.
 *
 * An entry is *original* (what the primary overwrote) or *own* (what the standby wrote); see entry.ts. A chunk is in
 * the table or in the zero extents, never in both.
 */

import { assert } from '../../base/assert.ts';
import type { ChunkStore } from './chunk-store.ts';
import { ChunkTable } from './chunk-table.ts';
import { isOwn, isSpilled, isZero, NO_ENTRY, slotOf, zeroEntry } from './entry.ts';
import { type SlabSource, SlotAllocator } from './slot-allocator.ts';
import { ZeroExtents } from './zero-extents.ts';

/** What an entry without data costs in tables, in bytes. */
const ENTRY_BYTES = 32;

export class Generation {
  /** The next younger generation: where a chunk without an entry here is looked up next. */
  younger: Generation | null = null;
  /** Why this image was given up; null while it is good. */
  invalid: string | null = null;
  /** Requests that still need this generation's memory. */
  pins = 0;
  /** Its checkpoint has been superseded: nothing is written to it any more. */
  dropped = false;
  /** That its soft or hard limit is reached has been told. */
  saidSoft = false;
  saidHard = false;
  /** The generation that absorbed this one, with its pins. */
  movedTo: Generation | null = null;
  readonly memory: SlotAllocator;
  readonly spill: SlotAllocator | null;
  readonly #granularity: number;
  readonly #table = new ChunkTable();
  readonly #zeroes = new ZeroExtents();
  #ownInTable = 0;

  constructor(store: ChunkStore, spill: SlabSource | null) {
    this.#granularity = store.granularity;
    this.memory = new SlotAllocator(store);
    this.spill = spill === null ? null : new SlotAllocator(spill);
  }

  /** Chunks with an entry. */
  get chunks(): number {
    return this.#table.count + this.#zeroes.originalChunks + this.#zeroes.ownChunks;
  }

  get ownChunks(): number {
    return this.#ownInTable + this.#zeroes.ownChunks;
  }

  /** Memory the entries take: the slots, and the tables' cost of the entries without one. */
  get memoryBytes(): number {
    const withoutSlot = Math.max(0, this.#table.count - this.memory.used) + this.#zeroes.length;
    return this.memory.used * this.#granularity + withoutSlot * ENTRY_BYTES;
  }

  get spilledBytes(): number {
    return (this.spill?.used ?? 0) * this.#granularity;
  }

  find(chunk: number): number {
    const entry = this.#table.get(chunk);
    if (entry !== NO_ENTRY || this.#zeroes.length === 0) return entry;
    const extent = this.#zeroes.find(chunk);
    return extent === undefined ? NO_ENTRY : zeroEntry(extent.own);
  }

  /** The first chunk of [start, end) that has no entry, or `end`. */
  firstGap(start: number, end: number): number {
    for (let chunk = start; chunk < end; ) {
      if (this.#table.get(chunk) !== NO_ENTRY) {
        chunk += 1;
        continue;
      }
      const extent = this.#zeroes.find(chunk);
      if (extent === undefined) return chunk;
      chunk = extent.end;
    }
    return end;
  }

  /** Where the gap ends that begins at `start`: the next chunk that has an entry, or `end`. */
  gapEnd(start: number, end: number): number {
    const limit = this.#zeroes.nextFrom(start, end);
    if (this.#table.count === 0) return limit;
    let chunk = start;
    while (chunk < limit && this.#table.get(chunk) === NO_ENTRY) chunk += 1;
    return chunk;
  }

  /** Makes `entry` that of `chunk`, and frees the slot of the one it had. */
  put(chunk: number, entry: number): void {
    const before = this.#table.get(chunk);
    if (before !== NO_ENTRY) {
      this.#ownInTable -= Number(isOwn(before));
      if (before >>> 1 !== entry >>> 1) this.release(before);
    } else if (this.#zeroes.length > 0) {
      this.#zeroes.remove(chunk, chunk + 1);
    }
    this.#table.set(chunk, entry);
    this.#ownInTable += Number(isOwn(entry));
  }

  /** Makes chunks [start, end) read as zeroes. Originals fill only chunks without an entry (rule B3). */
  putZeroes(start: number, end: number, own: boolean): void {
    if (own) {
      this.remove(start, end);
      this.#zeroes.put(start, end, true);
      return;
    }
    for (let chunk = this.firstGap(start, end); chunk < end; chunk = this.firstGap(chunk, end)) {
      const gapEnd = this.gapEnd(chunk, end);
      this.#zeroes.put(chunk, gapEnd, false);
      chunk = gapEnd;
    }
  }

  /** Takes the entries of chunks [start, end) out and frees their slots. */
  remove(start: number, end: number): void {
    this.#zeroes.remove(start, end);
    if (end - start <= this.#table.count) {
      for (let chunk = start; chunk < end; chunk++) this.#removeFromTable(chunk);
    } else {
      const found: number[] = [];
      this.#table.forEach(chunk => {
        if (chunk >= start && chunk < end) found.push(chunk);
      });
      for (const chunk of found) this.#removeFromTable(chunk);
    }
  }

  /** Frees the slot of an entry that no chunk has. */
  release(entry: number): void {
    if (isZero(entry)) return;
    const allocator = isSpilled(entry) ? this.spill : this.memory;
    allocator?.release(slotOf(entry));
  }

  /** All entries as runs of chunks [start, end), in no order. */
  forEach(visit: (start: number, end: number, entry: number) => void): void {
    this.#table.forEach((chunk, entry) => {
      visit(chunk, chunk + 1, entry);
    });
    for (const extent of this.#zeroes.values()) visit(extent.start, extent.end, zeroEntry(extent.own));
  }

  /** Moves the originals of `other` into this generation where it has no entry, and its memory with them. */
  absorb(other: Generation): void {
    this.memory.absorb(other.memory);
    if (other.spill !== null) this.spill?.absorb(other.spill);
    other.forEach((start, end, entry) => {
      if (end - start > 1) this.putZeroes(start, end, false);
      else if (this.find(start) === NO_ENTRY) this.put(start, entry);
      else this.release(entry);
    });
    other.#forget();
  }

  /** Empties the generation and gives its memory back, in time that does not depend on the number of entries. */
  recycle(): void {
    assert(this.pins === 0, 'Memory that a request uses is not recycled');
    this.memory.recycle();
    this.spill?.recycle();
    this.#forget();
  }

  /** Makes a recycled generation ready for a new epoch. */
  reset(): void {
    this.younger = null;
    this.invalid = null;
    this.dropped = false;
    this.saidSoft = false;
    this.saidHard = false;
  }

  #forget(): void {
    this.#table.clear();
    this.#ownInTable = 0;
    this.#zeroes.clear();
  }

  #removeFromTable(chunk: number): void {
    const entry = this.#table.get(chunk);
    if (entry === NO_ENTRY) return;
    this.#ownInTable -= Number(isOwn(entry));
    this.release(entry);
    this.#table.delete(chunk);
  }
}
