/**
 * EventLimiter: sends events on, those with a rate limit as QEMU's monitor does.
 *
 * After an event with a limit was sent, those of the same name and key that come within its interval are not: the last
 * of them is sent when the interval ends, with the time at which it happened, and begins the next interval.
 */

import type { Clock, Timer } from '../../base/clock.ts';
import type { QmpEvent } from '../protocol/qmp-message.ts';
import type { EventRateLimit } from './event-definition.ts';
import { events } from './index.ts';

/** `wallUs` is when it happened, in microseconds since the Unix epoch. */
export type EventSender = (event: QmpEvent, wallUs: number) => void;

type Interval = { timer: Timer; last: { readonly event: QmpEvent; readonly wallUs: number } | null };

export class EventLimiter {
  readonly #clock: Clock;
  readonly #send: EventSender;
  /** What was sent less than an interval ago. */
  readonly #intervals = new Map<string, Interval>();

  constructor(clock: Clock, send: EventSender) {
    this.#clock = clock;
    this.#send = send;
  }

  emit(event: QmpEvent): void {
    const wallUs = this.#clock.wallUs();
    const limit = events[event.name].rateLimit;
    if (limit === undefined) {
      this.#send(event, wallUs);
      return;
    }
    const key = keyOf(event, limit);
    const interval = this.#intervals.get(key);
    if (interval === undefined) this.#sendAndWait(event, wallUs, key, limit);
    else interval.last = { event, wallUs };
  }

  /** Forgets what waits to be sent. */
  [Symbol.dispose](): void {
    for (const { timer } of this.#intervals.values()) timer.cancel();
    this.#intervals.clear();
  }

  #sendAndWait(event: QmpEvent, wallUs: number, key: string, limit: EventRateLimit): void {
    const timer = this.#clock.after(limit.intervalMs, () => {
      const last = this.#intervals.get(key)?.last ?? null;
      this.#intervals.delete(key);
      if (last !== null) this.#sendAndWait(last.event, last.wallUs, key, limit);
    });
    this.#intervals.set(key, { timer, last: null });
    this.#send(event, wallUs);
  }
}

function keyOf({ name, data }: QmpEvent, { key }: EventRateLimit): string {
  const member = key === undefined ? '' : (data as Readonly<Record<string, unknown>> | undefined)?.[key];
  return `${name} ${String(member)}`;
}
