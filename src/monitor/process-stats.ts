/** ProcessStats: what the daemon's process costs, and for how long its event loop kept others waiting. */

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** The loop is asked so often; a timer cannot be asked more often than every millisecond. */
const RESOLUTION_MS = 1;

/** Microseconds by which the loop was late, since the first question or the last reset. */
export type EventLoopDelayUs = {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
};

export class ProcessStats {
  #delay: IntervalHistogram | null = null;

  /** Measuring starts with the first call, which answers zeroes: where nobody asks it costs nothing. */
  eventLoopDelayUs(): EventLoopDelayUs {
    const delay = this.#delay ?? this.#start();
    return {
      p50: lateUs(delay.percentile(50)),
      p99: lateUs(delay.percentile(99)),
      p999: lateUs(delay.percentile(99.9)),
      max: lateUs(delay.max),
    };
  }

  /** Forgets the delays so far. */
  reset(): void {
    this.#delay?.reset();
  }

  [Symbol.dispose](): void {
    this.#delay?.disable();
    this.#delay = null;
  }

  #start(): IntervalHistogram {
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    delay.enable();
    this.#delay = delay;
    return delay;
  }
}

/** The histogram holds the nanoseconds between two wake-ups of its timer, of which the resolution is no delay. */
function lateUs(betweenNs: number): number {
  return Math.max(0, Math.round(betweenNs / 1000) - RESOLUTION_MS * 1000);
}
