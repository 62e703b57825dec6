/** Time as a thing that is passed in, so that a simulator can replace it. */

export type Timer = { cancel(): void };

export interface Clock {
  /** Monotonic milliseconds with a fraction; only differences mean anything. */
  nowMs(): number;
  /** Microseconds since the Unix epoch, for timestamps that people and QMP read. Never used for a decision. */
  wallUs(): number;
  /** Calls `callback` once after `delayMs`, or 24 days where that is longer. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

/** Node's longest: with a longer delay its timers fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallUs: () => Math.round((performance.timeOrigin + performance.now()) * 1000),
  after(delayMs, callback) {
    const timeout = setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS));
    timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
