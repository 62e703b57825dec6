/**
 * Reference-counted memory for payloads that outlive the callback that received them.
 *
 * A slab starts with one reference. Whoever needs its bytes after its own call returns retains it and releases it
 * later; the last release puts the slab back into its pool. A slab's bytes have one writer at a time.
 */

import { assert } from './assert.ts';

export class Slab {
  readonly bytes: Buffer;
  readonly #pool: BufferPool | null;
  #references = 1;

  constructor(bytes: Buffer, pool: BufferPool | null) {
    this.bytes = bytes;
    this.#pool = pool;
  }

  get references(): number {
    return this.#references;
  }

  retain(): void {
    assert(this.#references > 0, 'A slab is retained only while somebody holds it');
    this.#references += 1;
  }

  release(): void {
    assert(this.#references > 0, 'A slab is released once for each reference');
    this.#references -= 1;
    if (this.#references === 0) this.#pool?.recycle(this);
  }

  /** For the pool alone: a recycled slab goes out with one reference again. */
  revive(): void {
    assert(this.#references === 0, 'Only a free slab is handed out');
    this.#references = 1;
  }
}

/** Gives memory of so many bytes, with any content. */
export type Allocate = (bytes: number) => Buffer;

/** Slabs of one size, kept for reuse up to `maxFree`. */
export class BufferPool {
  readonly slabBytes: number;
  readonly #maxFree: number;
  readonly #allocate: Allocate;
  readonly #free: Slab[] = [];

  constructor(slabBytes: number, maxFree: number, allocate: Allocate = Buffer.allocUnsafeSlow) {
    this.slabBytes = slabBytes;
    this.#maxFree = maxFree;
    this.#allocate = allocate;
  }

  take(): Slab {
    const slab = this.#free.pop();
    if (slab === undefined) return new Slab(this.#allocate(this.slabBytes), this);
    slab.revive();
    return slab;
  }

  /** A slab of another size, for a payload larger than this pool's; it is not kept. */
  takeOversized(bytes: number): Slab {
    return new Slab(this.#allocate(bytes), null);
  }

  recycle(slab: Slab): void {
    if (this.#free.length < this.#maxFree) this.#free.push(slab);
  }
}
