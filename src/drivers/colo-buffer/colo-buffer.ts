/**
 * ColoBuffer: the generations of a COLO buffer over its backing, and the policies for limits and errors.
 *
 *   oldest ─► … dropped, pinned by a request … ─► running (G) ─► prepared (P, while a checkpoint is prepared)
 *
 * view(c) of a generation is the first entry of c from it towards the youngest, else the backing's content. The
 * *newest* generation (P, else G) is the one that originals of the primary's writes go to.
 */

import { assert } from '../../base/assert.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import type { BlockEventSink } from '../../block/block-event.ts';
import { ChunkStore } from './chunk-store.ts';
import { isZero, NO_ENTRY, slotOf } from './entry.ts';
import { Generation } from './generation.ts';
import type { ColoBufferOptions } from './options.ts';
import type { SpillFile } from './spill-file.ts';

export type BufferPolicies = Pick<ColoBufferOptions, 'granularity' | 'limit' | 'soft-limit' | 'on-full' | 'on-error'>;

export class ColoBuffer {
  readonly backing: BlockEdge;
  readonly granularity: number;
  readonly store: ChunkStore;
  readonly spill: SpillFile | null;
  readonly #nodeName: string;
  readonly #policies: BufferPolicies;
  readonly #emit: BlockEventSink;
  readonly #spare: Generation[] = [];
  #oldest: Generation;
  #running: Generation;
  #prepared: Generation | null = null;

  constructor(
    nodeName: string,
    backing: BlockEdge,
    spill: SpillFile | null,
    policies: BufferPolicies,
    emit: BlockEventSink,
  ) {
    this.#nodeName = nodeName;
    this.backing = backing;
    this.granularity = policies.granularity;
    this.store = new ChunkStore(policies.granularity);
    this.spill = spill;
    this.#policies = policies;
    this.#emit = emit;
    this.#running = this.#fresh();
    this.#oldest = this.#running;
  }

  get running(): Generation {
    return this.#running;
  }

  get newest(): Generation {
    return this.#prepared ?? this.#running;
  }

  get limit(): number {
    return this.#policies.limit;
  }

  get failsWritesOnError(): boolean {
    return this.#policies['on-error'] === 'fail-write';
  }

  /** Memory of all generations, those that requests still pin included. */
  get memoryBytes(): number {
    let bytes = 0;
    for (let at: Generation | null = this.#oldest; at !== null; at = at.younger) bytes += at.memoryBytes;
    return bytes;
  }

  /** Bytes of `chunk`: the granularity, or less for the last one. */
  chunkBytes(chunk: number): number {
    return Math.min(this.granularity, this.backing.node.lengthBytes - chunk * this.granularity);
  }

  /** The entry that `generation`'s view of `chunk` comes from. */
  view(generation: Generation, chunk: number): number {
    for (let at: Generation | null = generation; at !== null; at = at.younger) {
      const entry = at.find(chunk);
      if (entry !== NO_ENTRY) return entry;
    }
    return NO_ENTRY;
  }

  /** Copies bytes of an entry in memory or of zeroes to `target`. */
  copyOut(entry: number, skip: number, target: Buffer, at: number, length: number): void {
    if (isZero(entry)) {
      target.fill(0, at, at + length);
    } else {
      const slot = slotOf(entry);
      const start = this.store.at(slot) + skip;
      this.store.bytes(slot).copy(target, at, start, start + length);
    }
  }

  // --- checkpoints ------------------------------------------------------------------------------------------------

  /** Opens the generation P, which takes the originals from now on. */
  prepare(): void {
    assert(this.#prepared === null, 'One checkpoint is prepared at a time');
    this.#prepared = this.#fresh();
    this.#running.younger = this.#prepared;
  }

  /** The prepared generation becomes the running one; the one before is dropped. O(1). */
  promote(): void {
    assert(this.#prepared !== null, 'A checkpoint is prepared before it is done');
    this.#running.dropped = true;
    this.#running = this.#prepared;
    this.#prepared = null;
    this.reclaim();
  }

  /** The prepared generation's originals move into the running one where it has none. */
  abort(): void {
    const prepared = this.#prepared;
    if (prepared === null) return;
    this.#prepared = null;
    this.#running.younger = null;
    // A copy that pinned P finds its memory in G.
    this.#running.pins += prepared.pins;
    prepared.movedTo = this.#running;
    this.#running.absorb(prepared);
    if (this.#running.invalid !== null) {
      if (this.#running.pins === 0) this.#running.recycle();
    } else if (prepared.invalid !== null) {
      this.invalidate(prepared.invalid);
    }
  }

  /** Drops everything and starts empty: nothing is buffered any more. */
  dropAll(): void {
    if (this.#prepared === null) this.prepare();
    this.promote();
  }

  // --- pins and memory --------------------------------------------------------------------------------------------

  pin(generation: Generation): void {
    generation.pins += 1;
  }

  unpin(generation: Generation): void {
    const holder = this.holderOf(generation);
    holder.pins -= 1;
    if (holder.pins > 0) return;
    if (holder.invalid !== null) holder.recycle();
    if (holder.dropped) this.reclaim();
  }

  /** The generation that has the memory of `generation` now: itself, or the one that absorbed it. */
  holderOf(generation: Generation): Generation {
    let at = generation;
    while (at.movedTo !== null) at = at.movedTo;
    return at;
  }

  /** Recycles dropped generations nobody needs, from the oldest on: a pinned one may look into the younger ones. */
  reclaim(): void {
    while (this.#oldest.dropped && this.#oldest.pins === 0 && this.#oldest.younger !== null) {
      const gone = this.#oldest;
      this.#oldest = this.#oldest.younger;
      gone.recycle();
      gone.younger = null;
      if (this.#spare.length < 2) this.#spare.push(gone);
    }
  }

  /** Where the next chunks of `generation` go: to memory, to the spill file, or nowhere since the limit is reached. */
  roomFor(generation: Generation, chunks: number): 'memory' | 'spill' | 'none' {
    const wanted = this.memoryBytes + chunks * this.granularity;
    if (wanted > this.#policies['soft-limit'] && !generation.saidSoft) {
      generation.saidSoft = true;
      this.#sayLimit('soft', 'checkpoint');
    }
    if (wanted <= this.#policies.limit) return 'memory';
    const spills = this.#policies['on-full'] === 'spill' && this.spill !== null;
    if (!generation.saidHard) {
      generation.saidHard = true;
      this.#sayLimit('hard', spills ? 'spill' : 'invalidate');
    }
    return spills ? 'spill' : 'none';
  }

  /** Gives up the checkpoint image until the next checkpoint. The mirror below stays good. */
  invalidate(reason: string): void {
    if (this.#running.invalid === null) {
      this.#giveUp(this.#running, reason);
      return;
    }
    if (this.#prepared !== null && this.#prepared.invalid === null) this.#giveUp(this.#prepared, reason);
  }

  /** The hard limit is reached: gives up the older image first, which may make room for the prepared one. */
  overflow(): void {
    this.invalidate(`its limit of ${this.#policies.limit} bytes is reached`);
  }

  #giveUp(generation: Generation, reason: string): void {
    generation.invalid = reason;
    if (generation.pins === 0) generation.recycle();
    this.#emit({ name: 'COLO_BUFFER_INVALID', data: { 'node-name': this.#nodeName, reason } });
  }

  #sayLimit(limit: 'soft' | 'hard', action: string): void {
    this.#emit({ name: 'COLO_BUFFER_LIMIT', data: { 'node-name': this.#nodeName, limit, action } });
  }

  #fresh(): Generation {
    const generation = this.#spare.pop() ?? new Generation(this.store, this.spill);
    generation.reset();
    return generation;
  }
}
