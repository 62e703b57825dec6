/**
 * OverlapTracker: the ranges of a node that have a write in flight.
 *
 * A write that overlaps one in flight waits for it, so that all copies apply overlapping writes in the same order.
 * Waiting writes start in the order they came. A range is [offset, offset + length) in bytes.
 */

import type { BlockRequest } from './block-request.ts';

export class OverlapTracker {
  readonly #active: BlockRequest[] = [];
  readonly #waiting: BlockRequest[] = [];

  get active(): number {
    return this.#active.length;
  }

  /** The writes in flight, in the order they entered. */
  activeRequests(): readonly BlockRequest[] {
    return this.#active;
  }

  /** The writes that wait for an overlapping one. */
  waitingRequests(): readonly BlockRequest[] {
    return this.#waiting;
  }

  /** Enters `request`: true if it may start; false if it waits and will be returned by a later `leave`. */
  enter(request: BlockRequest): boolean {
    if (overlapsAny(this.#active, request) || overlapsAny(this.#waiting, request)) {
      this.#waiting.push(request);
      return false;
    }
    this.#active.push(request);
    return true;
  }

  /** Ends an entered `request`; returns the waiting writes that may start now, already entered. */
  leave(request: BlockRequest): readonly BlockRequest[] {
    remove(this.#active, request);
    return this.#waiting.length === 0 ? NONE : this.#admit();
  }

  /** Takes a write that has not started out of the queue; returns those that may start now, already entered. */
  withdraw(request: BlockRequest): readonly BlockRequest[] {
    remove(this.#waiting, request);
    return this.#waiting.length === 0 ? NONE : this.#admit();
  }

  #admit(): readonly BlockRequest[] {
    const admitted: BlockRequest[] = [];
    const stillWaiting: BlockRequest[] = [];
    for (const request of this.#waiting) {
      if (overlapsAny(this.#active, request) || overlapsAny(stillWaiting, request)) {
        stillWaiting.push(request);
      } else {
        this.#active.push(request);
        admitted.push(request);
      }
    }
    this.#waiting.splice(0, this.#waiting.length, ...stillWaiting);
    return admitted;
  }
}

const NONE: readonly BlockRequest[] = [];

function overlapsAny(requests: readonly BlockRequest[], request: BlockRequest): boolean {
  const end = request.offset + request.length;
  for (let i = 0; i < requests.length; i++) {
    const other = requests[i] as BlockRequest;
    if (other.offset < end && request.offset < other.offset + other.length) return true;
  }
  return false;
}

/** Keeps the order of the others. */
function remove(requests: BlockRequest[], request: BlockRequest): void {
  const index = requests.indexOf(request);
  if (index >= 0) requests.splice(index, 1);
}
