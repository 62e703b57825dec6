/**
 * ThrottleGroup: limits that several nodes keep together. The object `throttle-group`, which nodes name.
 *
 * Reads and writes wait apart from each other, but limits for totals are theirs in common.
 */

import type { Clock } from '../../base/clock.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { type LanePlace, type LaneUser, ThrottleLane } from './throttle-lane.ts';
import { type CompleteLimits, completeLimits, type ThrottleLimits, throttleConfig } from './throttle-limits.ts';
import { ThrottleMeter } from './throttle-meter.ts';

export class ThrottleGroup {
  readonly id: string;
  readonly #clock: Clock;
  readonly #reads: ThrottleLane;
  readonly #writes: ThrottleLane;
  #limits: CompleteLimits;
  #members = 0;

  /** Throws UsageError in QEMU's words where the limits do not fit together. */
  constructor(id: string, limits: ThrottleLimits, clock: Clock) {
    this.id = id;
    this.#clock = clock;
    this.#limits = completeLimits(limits);
    const meter = new ThrottleMeter(throttleConfig(limits), clock);
    this.#reads = new ThrottleLane('read', meter, clock);
    this.#writes = new ThrottleLane('write', meter, clock);
  }

  get isInUse(): boolean {
    return this.#members > 0;
  }

  join(user: LaneUser): ThrottleMember {
    this.#members += 1;
    return new ThrottleMember(this.#reads, this.#writes, user, () => {
      this.#members -= 1;
    });
  }

  get limits(): CompleteLimits {
    return this.#limits;
  }

  /** Changes the limits that are given. Throws UsageError, having changed nothing, where they do not fit together. */
  changeLimits(limits: ThrottleLimits): void {
    const changed = completeLimits({ ...this.#limits, ...limits });
    const meter = new ThrottleMeter(throttleConfig(changed), this.#clock);
    this.#limits = changed;
    this.#reads.setMeter(meter);
    this.#writes.setMeter(meter);
  }
}

type Part = { readonly lane: ThrottleLane; readonly place: LanePlace };

/** A node's part in a group. */
export class ThrottleMember {
  readonly #reads: Part;
  readonly #writes: Part;
  readonly #onLeave: () => void;
  #hasLeft = false;

  constructor(reads: ThrottleLane, writes: ThrottleLane, user: LaneUser, onLeave: () => void) {
    this.#reads = { lane: reads, place: reads.join(user) };
    this.#writes = { lane: writes, place: writes.join(user) };
    this.#onLeave = onLeave;
  }

  /** Passes `request` to the user now or, where the group has done too much of late, later. */
  submit(request: BlockRequest): void {
    const { lane, place } = request.changesData ? this.#writes : this.#reads;
    lane.submit(place, request);
  }

  /** Passes `request` to the user whatever the limits say. */
  passNow(request: BlockRequest): void {
    const { lane, place } = request.changesData ? this.#writes : this.#reads;
    lane.passNow(place, request);
  }

  /** Lets everything go that waits. */
  passAll(): void {
    for (const { lane, place } of [this.#reads, this.#writes]) lane.passAll(place);
  }

  /** Nothing may wait. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    for (const { lane, place } of [this.#reads, this.#writes]) lane.leave(place);
    this.#onLeave();
  }
}
