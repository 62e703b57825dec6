/**
 * ThreadPool: who may use how many of the threads that wait for disks.
 *
 * Node's thread pool serves whoever comes first, so a slow disk with many requests takes every thread and all other
 * disks wait for it. Here each disk has a share. A share may take a thread while it has fewer than there are free, up to
 * MAX_THREADS_PER_SHARE: so some are left for a disk that comes later, however many slow ones there are.
 */

import { assert } from '../base/assert.ts';

/** More help no disk in this machine, and hardly one elsewhere. */
export const MAX_THREADS_PER_SHARE = 8;

/** Something that a thread does. When it is done, its share is told by `leave`. */
export interface PoolWork {
  /** Hands it to Node's thread pool; must not complete before it returns. */
  startInPool(): void;
}

export class ThreadPool {
  #threads: number;
  #running = 0;
  /** The shares with work that waits, in turn. */
  readonly #waiting: PoolShare[] = [];

  /** `threads` as libuv has them. */
  constructor(threads: number) {
    this.#threads = threads;
  }

  /** Says how many threads there are, where the process was started with another number (UV_THREADPOOL_SIZE). */
  resize(threads: number): void {
    this.#threads = threads;
  }

  /** True where a share that uses `used` threads may take one more; the first is never refused. */
  hasThreadFor(used: number): boolean {
    return used === 0 || used < Math.min(MAX_THREADS_PER_SHARE, this.#threads - this.#running);
  }

  /** For shares alone: a thread was taken or is free again. */
  count(change: 1 | -1): void {
    this.#running += change;
  }

  /** For shares alone: `share` has work that waits. */
  wait(share: PoolShare): void {
    this.#waiting.push(share);
  }

  /** For shares alone: gives threads to those that wait, to whom has fewest first. */
  dispatch(): void {
    for (;;) {
      let next: PoolShare | null = null;
      for (const share of this.#waiting) if (next === null || share.running < next.running) next = share;
      if (next === null || !this.hasThreadFor(next.running)) return;
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      if (next.startNext()) this.#waiting.push(next);
    }
  }
}

/** The part of the pool that one disk uses. Work of a share starts in the order it came. */
export class PoolShare {
  readonly #pool: ThreadPool;
  readonly #queue: PoolWork[] = [];
  #running = 0;

  constructor(pool: ThreadPool = threadPool) {
    this.#pool = pool;
  }

  /** Threads it has now. */
  get running(): number {
    return this.#running;
  }

  /** Starts `work`, at once or when there is a thread for it. */
  enter(work: PoolWork): void {
    if (this.#queue.length === 0 && this.#pool.hasThreadFor(this.#running)) {
      this.#start(work);
      return;
    }
    this.#queue.push(work);
    if (this.#queue.length === 1) this.#pool.wait(this);
  }

  /** The thread of one piece of work is free again. */
  leave(): void {
    assert(this.#running > 0, 'Work leaves the pool once');
    this.#running -= 1;
    this.#pool.count(-1);
    this.#pool.dispatch();
  }

  /** For the pool alone: starts what has waited longest; true where more waits. */
  startNext(): boolean {
    const work = this.#queue.shift();
    assert(work !== undefined, 'A share waits only with work');
    this.#start(work);
    return this.#queue.length > 0;
  }

  #start(work: PoolWork): void {
    this.#running += 1;
    this.#pool.count(1);
    work.startInPool();
  }
}

const LIBUV_DEFAULT_THREADS = 4;

/** The pool of this process. */
export const threadPool: ThreadPool = new ThreadPool(LIBUV_DEFAULT_THREADS);
