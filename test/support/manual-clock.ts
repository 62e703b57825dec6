/** ManualClock: time that passes only when a test says so. */

import type { Clock, Timer } from '../../src/base/clock.ts';

type Pending = { readonly atMs: number; readonly callback: () => void };

export class ManualClock implements Clock {
  #nowMs = 0;
  #pending: Pending[] = [];

  /** Timers that have not fired. */
  get timers(): number {
    return this.#pending.length;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallUs(): number {
    return this.#nowMs * 1000;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer: Pending = { atMs: this.#nowMs + delayMs, callback };
    this.#pending.push(timer);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter(other => other !== timer);
      },
    };
  }

  /** Lets time pass and fires, in order, the timers that fall due. */
  advance(byMs: number): void {
    const end = this.#nowMs + byMs;
    for (;;) {
      const due = this.#pending.filter(timer => timer.atMs <= end).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#pending = this.#pending.filter(timer => timer !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
    }
    this.#nowMs = end;
  }
}
