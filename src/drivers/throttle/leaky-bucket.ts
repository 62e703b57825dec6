/**
 * LeakyBucket: holds one rate, with bursts (QEMU docs/throttle.txt).
 *
 * What is done fills the bucket, and time empties it at the rate. Something may be done while the bucket is not over
 * full, however much it then adds. With a burst rate the bucket holds as much as is done in the burst's length at that
 * rate; a second bucket, which empties at the burst rate, then holds that.
 */

const MS_PER_S = 1000;
/** Without a burst rate the bucket holds this part of a second: enough for requests that come together. */
const DEFAULT_BURST_S = 0.1;
/** Shorter waits than a nanosecond are rounding. */
const SHORTEST_WAIT_MS = 1e-6;

export type Rate = {
  /** Units a second; 0 for no limit. */
  readonly avg: number;
  /** Units a second during a burst; 0 for none. */
  readonly max: number;
  /** Seconds that a burst may last at its full rate. */
  readonly burstLengthS: number;
};

export class LeakyBucket {
  readonly rate: Rate;
  #level = 0;
  #burstLevel = 0;

  constructor(rate: Rate) {
    this.rate = rate;
  }

  /** `ms` have passed. */
  leak(ms: number): void {
    const seconds = ms / MS_PER_S;
    this.#level = Math.max(0, this.#level - this.rate.avg * seconds);
    this.#burstLevel = Math.max(0, this.#burstLevel - this.rate.max * seconds);
  }

  /** Something of `units` is done. */
  add(units: number): void {
    this.#level += units;
    if (this.#limitsBursts) this.#burstLevel += units;
  }

  /** Milliseconds until something may be done; 0 for now. */
  get waitMs(): number {
    const { avg, max, burstLengthS } = this.rate;
    if (avg === 0) return 0;
    const room = max === 0 ? avg * DEFAULT_BURST_S : max * burstLengthS;
    const wait = msToLeak(this.#level - room, avg);
    if (wait > 0 || !this.#limitsBursts) return wait;
    return msToLeak(this.#burstLevel - max * DEFAULT_BURST_S, max);
  }

  /** A burst of one second is limited by what the bucket holds; a longer one must be held to its rate. */
  get #limitsBursts(): boolean {
    return this.rate.burstLengthS > 1;
  }
}

function msToLeak(units: number, rate: number): number {
  const ms = (units / rate) * MS_PER_S;
  return ms < SHORTEST_WAIT_MS ? 0 : ms;
}
