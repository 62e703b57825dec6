/** RateLimit: keeps work to a number of bytes a second. */

import type { Clock } from '../base/clock.ts';

export class RateLimit {
  readonly #clock: Clock;
  #bytesPerSecond: number;
  /** When what was let pass so far has used up its time. */
  #freeAtMs = 0;

  /** 0 bytes a second is no limit. */
  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** What was let pass already takes as long as it would have at the new speed. */
  set bytesPerSecond(bytesPerSecond: number) {
    const now = this.#clock.nowMs();
    const owedBytes = (Math.max(0, this.#freeAtMs - now) * this.#bytesPerSecond) / 1000;
    this.#bytesPerSecond = bytesPerSecond;
    this.#freeAtMs = bytesPerSecond === 0 ? now : now + (owedBytes * 1000) / bytesPerSecond;
  }

  /** Milliseconds until the next bytes may pass; 0 where they may at once. */
  get delayMs(): number {
    return this.#bytesPerSecond === 0 ? 0 : Math.max(0, this.#freeAtMs - this.#clock.nowMs());
  }

  /** Takes note that `bytes` pass now. */
  pass(bytes: number): void {
    if (this.#bytesPerSecond === 0) return;
    this.#freeAtMs = Math.max(this.#freeAtMs, this.#clock.nowMs()) + (bytes * 1000) / this.#bytesPerSecond;
  }
}
