/**
 * ThrottleLane: the reads, or the writes, of all members of a group.
 *
 * A request goes at once where nothing of its lane waits and the limits allow it. Those that wait go in turn, one of each
 * member that has any, as the limits allow; one timer tells when the next may.
 */

import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { RequestQueue } from './request-queue.ts';
import type { Direction, ThrottleMeter } from './throttle-meter.ts';

/** Who takes a request on its way. */
export interface LaneUser {
  /** The request may go. */
  pass(request: BlockRequest): void;
}

/** One member's place in a lane. */
export type LanePlace = { readonly user: LaneUser; readonly queue: RequestQueue };

export class ThrottleLane {
  readonly #direction: Direction;
  readonly #clock: Clock;
  readonly #places: LanePlace[] = [];
  #meter: ThrottleMeter;
  /** Index of the place whose turn it is. */
  #turn = 0;
  #waiting = 0;
  #timer: Timer | null = null;
  #isRunning = false;

  constructor(direction: Direction, meter: ThrottleMeter, clock: Clock) {
    this.#direction = direction;
    this.#meter = meter;
    this.#clock = clock;
  }

  join(user: LaneUser): LanePlace {
    const place = { user, queue: new RequestQueue() };
    this.#places.push(place);
    return place;
  }

  leave(place: LanePlace): void {
    assert(place.queue.length === 0, 'A member that leaves its group has nothing waiting');
    this.#places.splice(this.#places.indexOf(place), 1);
    this.#turn = 0;
  }

  submit(place: LanePlace, request: BlockRequest): void {
    if (this.#waiting === 0 && !this.#isRunning && this.#meter.waitMs(this.#direction) === 0) {
      this.#let(place, request);
      return;
    }
    place.queue.push(request);
    this.#waiting += 1;
    this.#schedule();
  }

  /** Lets a request of `place` go at once, behind what `passAll` lets go. It counts: others wait the longer. */
  passNow(place: LanePlace, request: BlockRequest): void {
    if (place.queue.length === 0) {
      this.#let(place, request);
      return;
    }
    place.queue.push(request);
    this.#waiting += 1;
  }

  /** Lets everything of `place` go that waits. It counts, too. */
  passAll(place: LanePlace): void {
    while (place.queue.length > 0) this.#letFirst(place);
    if (this.#waiting > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Other limits count from now on, from an empty bucket. */
  setMeter(meter: ThrottleMeter): void {
    this.#meter = meter;
    this.#timer?.cancel();
    this.#timer = null;
    this.#run();
  }

  /**
   * The first goes even where the other lane has filled a bucket that they share since the timer was set: it counts, and
   * both get their turns.
   */
  readonly #timerFired = (): void => {
    this.#timer = null;
    this.#isRunning = true;
    if (this.#waiting > 0) this.#letFirst(this.#nextPlace());
    this.#run();
  };

  #run(): void {
    this.#isRunning = true;
    while (this.#waiting > 0 && this.#meter.waitMs(this.#direction) === 0) this.#letFirst(this.#nextPlace());
    this.#isRunning = false;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#timer !== null || this.#waiting === 0 || this.#isRunning) return;
    this.#timer = this.#clock.after(this.#meter.waitMs(this.#direction), this.#timerFired);
  }

  /** The next place in turn where something waits; there is one. */
  #nextPlace(): LanePlace {
    for (;;) {
      const place = this.#places[this.#turn % this.#places.length] as LanePlace;
      this.#turn = (this.#turn + 1) % this.#places.length;
      if (place.queue.length > 0) return place;
    }
  }

  #letFirst(place: LanePlace): void {
    this.#waiting -= 1;
    this.#let(place, place.queue.shift());
  }

  #let(place: LanePlace, request: BlockRequest): void {
    this.#meter.account(this.#direction, request.length);
    place.user.pass(request);
  }
}
