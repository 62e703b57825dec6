/**
 * ChunkTable: from chunk numbers to small integers, for millions of entries, cleared in O(1).
 *
 * A hash table with linear probing in typed arrays, cut into shards that grow one at a time, so that growing never
 * stalls for long. Clearing only advances an epoch; a shard of an older epoch is emptied when it is next touched.
 */

import { NO_ENTRY } from './entry.ts';

const SHARDS = 256;
const FIRST_CAPACITY = 64;
const EMPTY = -1;
/** Neighbouring chunks stay neighbours in a shard: runs of this many share a place in the hash. */
const RUN_BITS = 4;

class Shard {
  keys: Float64Array = new Float64Array(FIRST_CAPACITY).fill(EMPTY);
  values: Int32Array = new Int32Array(FIRST_CAPACITY);
  count = 0;
  epoch = 0;

  /** The index of `chunk`, or of the empty place where it belongs. */
  probe(chunk: number, hash: number): number {
    const mask = this.keys.length - 1;
    let index = (hash >>> 8) & mask;
    for (;;) {
      const key = this.keys[index] as number;
      if (key === chunk || key === EMPTY) return index;
      index = (index + 1) & mask;
    }
  }
}

export class ChunkTable {
  readonly #shards: readonly Shard[] = Array.from({ length: SHARDS }, () => new Shard());
  #epoch = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get(chunk: number): number {
    if (this.#count === 0) return NO_ENTRY;
    const hash = hashOf(chunk);
    const shard = this.#shardOf(hash);
    const index = shard.probe(chunk, hash);
    return shard.keys[index] === chunk ? (shard.values[index] as number) : NO_ENTRY;
  }

  set(chunk: number, value: number): void {
    const hash = hashOf(chunk);
    const shard = this.#shardOf(hash);
    let index = shard.probe(chunk, hash);
    if (shard.keys[index] === EMPTY) {
      if ((shard.count + 1) * 2 > shard.keys.length) {
        grow(shard);
        index = shard.probe(chunk, hash);
      }
      shard.keys[index] = chunk;
      shard.count += 1;
      this.#count += 1;
    }
    shard.values[index] = value;
  }

  delete(chunk: number): void {
    const hash = hashOf(chunk);
    const shard = this.#shardOf(hash);
    let hole = shard.probe(chunk, hash);
    if (shard.keys[hole] === EMPTY) return;
    shard.count -= 1;
    this.#count -= 1;
    // Close the gap: move back every later key of the run that may stand in it.
    const mask = shard.keys.length - 1;
    for (let index = (hole + 1) & mask; shard.keys[index] !== EMPTY; index = (index + 1) & mask) {
      const home = (hashOf(shard.keys[index] as number) >>> 8) & mask;
      if (((index - home) & mask) >= ((index - hole) & mask)) {
        shard.keys[hole] = shard.keys[index] as number;
        shard.values[hole] = shard.values[index] as number;
        hole = index;
      }
    }
    shard.keys[hole] = EMPTY;
  }

  clear(): void {
    this.#epoch += 1;
    this.#count = 0;
  }

  forEach(visit: (chunk: number, value: number) => void): void {
    for (const shard of this.#shards) {
      if (shard.epoch !== this.#epoch) continue;
      for (let index = 0; index < shard.keys.length; index++) {
        const chunk = shard.keys[index] as number;
        if (chunk !== EMPTY) visit(chunk, shard.values[index] as number);
      }
    }
  }

  #shardOf(hash: number): Shard {
    const shard = this.#shards[hash & (SHARDS - 1)] as Shard;
    if (shard.epoch !== this.#epoch) {
      shard.epoch = this.#epoch;
      if (shard.count > 0) shard.keys.fill(EMPTY);
      shard.count = 0;
    }
    return shard;
  }
}

/** 32 bits that spread runs of chunks over shards and keep each run together. */
function hashOf(chunk: number): number {
  const run = Math.floor(chunk / (1 << RUN_BITS));
  let hash = Math.imul(run | 0, 0x9e3779b1) ^ Math.imul((run / 0x1_0000_0000) | 0, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  hash ^= hash >>> 13;
  const place = (hash >>> 8) << RUN_BITS;
  return ((place + (chunk % (1 << RUN_BITS))) << 8) | (hash & (SHARDS - 1));
}

function grow(shard: Shard): void {
  const { keys, values } = shard;
  shard.keys = new Float64Array(keys.length * 2).fill(EMPTY);
  shard.values = new Int32Array(keys.length * 2);
  for (let index = 0; index < keys.length; index++) {
    const chunk = keys[index] as number;
    if (chunk === EMPTY) continue;
    const place = shard.probe(chunk, hashOf(chunk));
    shard.keys[place] = chunk;
    shard.values[place] = values[index] as number;
  }
}
