/**
 * ChunkStore: the memory of a COLO buffer, in slabs that are recycled as a whole.
 *
 * A slot holds one chunk. Slabs are kept when they come back: a drop frees nothing, so the garbage collector has no
 * part in it.
 */

import { allocateAligned } from '../../os/aligned-memory.ts';
import type { SlabSource } from './slot-allocator.ts';

const SLAB_BYTES = 1024 * 1024;

export class ChunkStore implements SlabSource {
  readonly granularity: number;
  readonly slotsPerSlab: number;
  readonly reusesSlots = true;
  readonly #slabs: Buffer[] = [];
  readonly #free: number[] = [];

  constructor(granularity: number) {
    this.granularity = granularity;
    this.slotsPerSlab = Math.max(1, Math.floor(SLAB_BYTES / granularity));
  }

  takeSlab(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#slabs.push(allocateAligned(this.slotsPerSlab * this.granularity));
    return this.#slabs.length - 1;
  }

  giveBack(slabs: readonly number[]): void {
    for (const slab of slabs) this.#free.push(slab);
  }

  /** The memory that `slot` lies in, from byte `at(slot)` on. */
  bytes(slot: number): Buffer {
    return this.#slabs[Math.floor(slot / this.slotsPerSlab)] as Buffer;
  }

  at(slot: number): number {
    return (slot % this.slotsPerSlab) * this.granularity;
  }
}
