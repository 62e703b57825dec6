/** SimulatedClock: time that passes when a test says so. */

import type { Clock, Timer } from '../base/clock.ts';

type Pending = { readonly atMs: number; readonly callback: () => void };

export class SimulatedClock implements Clock {
  #nowMs = 0;
  #pending: Pending[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallUs(): number {
    return this.#nowMs * 1000;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending = { atMs: this.#nowMs + delayMs, callback };
    this.#pending.push(pending);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter(other => other !== pending);
      },
    };
  }

  /** Lets `ms` pass: timers that are due run in the order of their times. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#pending.filter(pending => pending.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#pending = this.#pending.filter(other => other !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.callback();
    }
    this.#nowMs = endMs;
  }
}
