/**
 * CopyServices: those who wait until a range is copied, and the copies that are made for them.
 *
 * Waiters are served in the order they came, each as soon as no copy under way overlaps its range. One that is not
 * served for long is told so: a write of the guest does not wait for a target that hangs.
 */

import type { Clock, Timer } from '../base/clock.ts';
import type { RangeCopy } from './range-copy.ts';

/** Copies under way; more wait for one of these. */
const MAX_COPIES = 16;
/** Longest a waiter waits without anything being copied for it. */
const DEADLINE_MS = 5000;
const CHECK_MS = 1000;

/** `failed`: the copy of its last piece is the one that failed. `late`: it is given up, whatever becomes of the copy. */
export type ServiceEnd = 'copied' | 'failed' | 'late' | 'released';

/** Somebody who waits until a range is copied. */
export interface CopyWaiter {
  /** The rest of the range: it shrinks as the range is copied. */
  offset: number;
  length: number;
  serviceEnded(end: ServiceEnd, failed: RangeCopy | null): void;
}

type Waiting = { readonly waiter: CopyWaiter; sinceMs: number; copy: RangeCopy | null };

export class CopyServices {
  readonly #clock: Clock;
  readonly #next: (waiter: CopyWaiter) => RangeCopy | 'wait' | 'done';
  readonly #waiting = new Set<Waiting>();
  readonly #copies = new Map<RangeCopy, Waiting>();
  #isAdvancing = false;
  #mustAdvance = false;
  #check: Timer | null = null;

  /** `next` tells what to do for a waiter: the copy to start, which has its range, or to wait, or that it is done. */
  constructor(clock: Clock, next: (waiter: CopyWaiter) => RangeCopy | 'wait' | 'done') {
    this.#clock = clock;
    this.#next = next;
  }

  add(waiter: CopyWaiter): void {
    this.#waiting.add({ waiter, sinceMs: this.#clock.nowMs(), copy: null });
    this.#check ??= this.#clock.after(CHECK_MS, () => this.#checkDeadlines());
    this.advance();
  }

  /** A copy that was started here has come to its end. */
  done(copy: RangeCopy): void {
    const waiting = this.#copies.get(copy);
    this.#copies.delete(copy);
    if (waiting === undefined || !this.#waiting.has(waiting)) return;
    waiting.copy = null;
    if (copy.error !== null) {
      this.#end(waiting, 'failed', copy);
      return;
    }
    const { waiter } = waiting;
    const to = Math.max(waiter.offset, copy.offset + copy.length);
    waiter.length = Math.max(0, waiter.offset + waiter.length - to);
    waiter.offset = to;
    waiting.sinceMs = this.#clock.nowMs();
  }

  /** Something is no longer under way: starts what can be started. */
  advance(): void {
    this.#mustAdvance = true;
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (this.#mustAdvance) {
      this.#mustAdvance = false;
      for (const waiting of this.#waiting) this.#advanceOne(waiting);
    }
    this.#isAdvancing = false;
  }

  releaseAll(): void {
    for (const waiting of [...this.#waiting]) this.#end(waiting, 'released', null);
  }

  #advanceOne(waiting: Waiting): void {
    if (waiting.copy !== null || this.#copies.size >= MAX_COPIES) return;
    const next = this.#next(waiting.waiter);
    if (next === 'wait') return;
    if (next === 'done') {
      this.#end(waiting, 'copied', null);
      return;
    }
    waiting.copy = next;
    this.#copies.set(next, waiting);
    next.start(next.offset, next.length, next.content);
  }

  #end(waiting: Waiting, end: ServiceEnd, failed: RangeCopy | null): void {
    this.#waiting.delete(waiting);
    if (this.#waiting.size === 0) {
      this.#check?.cancel();
      this.#check = null;
    }
    waiting.waiter.serviceEnded(end, failed);
  }

  #checkDeadlines(): void {
    this.#check = this.#clock.after(CHECK_MS, () => this.#checkDeadlines());
    const now = this.#clock.nowMs();
    for (const waiting of [...this.#waiting]) {
      if (now - waiting.sinceMs >= DEADLINE_MS) this.#end(waiting, 'late', null);
    }
  }
}
