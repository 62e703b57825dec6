/** ThrottleMeter: what a group has done of late, against its limits. Reads and writes share the buckets for totals. */

import type { Clock } from '../../base/clock.ts';
import { LeakyBucket } from './leaky-bucket.ts';
import type { ThrottleConfig } from './throttle-limits.ts';

export type Direction = 'read' | 'write';

type Buckets = { readonly bytes: readonly LeakyBucket[]; readonly operations: readonly LeakyBucket[] };

export class ThrottleMeter {
  readonly #clock: Clock;
  readonly #operationBytes: number;
  /** Those with a limit. */
  readonly #buckets: readonly LeakyBucket[];
  readonly #byDirection: Readonly<Record<Direction, Buckets>>;
  #leakedAtMs: number;

  constructor({ rates, operationBytes }: ThrottleConfig, clock: Clock) {
    this.#clock = clock;
    this.#operationBytes = operationBytes;
    this.#leakedAtMs = clock.nowMs();
    const buckets = new Map(Object.entries(rates).map(([name, rate]) => [name, new LeakyBucket(rate)]));
    const limited = (...names: string[]): LeakyBucket[] =>
      names.flatMap(name => buckets.get(name) ?? []).filter(bucket => bucket.rate.avg > 0);
    this.#buckets = limited(...buckets.keys());
    this.#byDirection = {
      read: { bytes: limited('bps-total', 'bps-read'), operations: limited('iops-total', 'iops-read') },
      write: { bytes: limited('bps-total', 'bps-write'), operations: limited('iops-total', 'iops-write') },
    };
  }

  /** Milliseconds until a request of `direction` may go; 0 for now. */
  waitMs(direction: Direction): number {
    this.#leak();
    const { bytes, operations } = this.#byDirection[direction];
    let wait = 0;
    for (let i = 0; i < bytes.length; i++) wait = Math.max(wait, (bytes[i] as LeakyBucket).waitMs);
    for (let i = 0; i < operations.length; i++) wait = Math.max(wait, (operations[i] as LeakyBucket).waitMs);
    return wait;
  }

  /** A request of `length` bytes goes. */
  account(direction: Direction, length: number): void {
    const { bytes, operations } = this.#byDirection[direction];
    const isLong = this.#operationBytes > 0 && length > this.#operationBytes;
    const units = isLong ? length / this.#operationBytes : 1;
    for (let i = 0; i < bytes.length; i++) (bytes[i] as LeakyBucket).add(length);
    for (let i = 0; i < operations.length; i++) (operations[i] as LeakyBucket).add(units);
  }

  #leak(): void {
    const nowMs = this.#clock.nowMs();
    const ms = nowMs - this.#leakedAtMs;
    this.#leakedAtMs = nowMs;
    if (ms <= 0) return;
    for (let i = 0; i < this.#buckets.length; i++) (this.#buckets[i] as LeakyBucket).leak(ms);
  }
}
