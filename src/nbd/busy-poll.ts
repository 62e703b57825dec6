/**
 * BusyPoll: keeps the event loop awake for a moment after something was sent, where the answer is about to come.
 *
 * A client that waits for each answer sends its next request within tens of microseconds, and a server near by answers as
 * soon; to wake a process that has gone to sleep takes longer than that. Whether to stay awake is told by the last answer:
 * after one that took longer than the window the loop sleeps at once, so that a peer that speaks now and then costs
 * nothing. QEMU's event loops do the like (`poll-max-ns`).
 */

import type { Clock } from '../base/clock.ts';

const WINDOW_MS = 0.06;
/** Whatever the clock says, no more turns of the event loop than this are taken. */
const MAX_TURNS = 256;
/** Looks in one turn of the event loop, half a microsecond each; with others awake as well, one. */
const MAX_LOOKS = 16;

let awakePolls = 0;

export class BusyPoll {
  readonly #clock: Clock;
  readonly #look: () => boolean;
  #sentMs = Number.NEGATIVE_INFINITY;
  #isQuick = false;
  #turns = 0;
  #isAwake = false;

  /** `look` takes bytes that have come and that the event loop has not told of yet; false where no whole message had. */
  constructor(clock: Clock, look: () => boolean) {
    this.#clock = clock;
    this.#look = look;
  }

  /** All that there is to say was sent; what the peer answers is waited for from now on. */
  expect(): void {
    this.#sentMs = this.#clock.nowMs();
    this.#turns = MAX_TURNS;
    if (!this.#isQuick || this.#isAwake) return;
    this.#isAwake = true;
    awakePolls += 1;
    setImmediate(this.#turn);
  }

  /** Bytes have come. */
  arrived(): void {
    this.#isQuick = this.#isInWindow;
  }

  get #isInWindow(): boolean {
    return this.#clock.nowMs() - this.#sentMs <= WINDOW_MS;
  }

  /** While an immediate is due the event loop looks for bytes and does not wait for them. */
  readonly #turn = (): void => {
    const looks = awakePolls > 1 ? 1 : MAX_LOOKS;
    for (let i = 0; i < looks && !this.#look(); i++);
    this.#turns -= 1;
    this.#isAwake = this.#turns > 0 && this.#isInWindow;
    if (this.#isAwake) setImmediate(this.#turn);
    else awakePolls -= 1;
  };
}
