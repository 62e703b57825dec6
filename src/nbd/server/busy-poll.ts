/**
 * BusyPoll: keeps the event loop awake for a moment after bytes have come, where the next ones are about to.
 *
 * A client that waits for each answer sends its next request within tens of microseconds, and to wake a process that has
 * gone to sleep takes longer than that. Whether to stay awake is told by the last pause: after a longer one than the
 * window the loop sleeps at once, so that a client that comes now and then costs nothing. QEMU's event loops do the like
 * (`poll-max-ns`).
 */

import type { Clock } from '../../base/clock.ts';

const WINDOW_MS = 0.06;
/** Whatever the clock says, no more turns of the event loop than this are taken. */
const MAX_TURNS = 256;

export class BusyPoll {
  readonly #clock: Clock;
  #lastMs = Number.NEGATIVE_INFINITY;
  #turns = 0;
  #isAwake = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bytes have come. */
  arrived(): void {
    const nowMs = this.#clock.nowMs();
    const isSoon = nowMs - this.#lastMs <= WINDOW_MS;
    this.#lastMs = nowMs;
    this.#turns = isSoon ? MAX_TURNS : 0;
    if (!isSoon || this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(this.#turn);
  }

  /** While an immediate is due the event loop looks for bytes and does not wait for them. */
  readonly #turn = (): void => {
    this.#turns -= 1;
    this.#isAwake = this.#turns > 0 && this.#clock.nowMs() - this.#lastMs <= WINDOW_MS;
    if (this.#isAwake) setImmediate(this.#turn);
  };
}
