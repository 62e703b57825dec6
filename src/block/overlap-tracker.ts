/**
 * OverlapTracker: the ranges of a node that have a write in flight.
 *
 * A write that overlaps one in flight waits for it, so that all copies apply overlapping writes in the same order.
 * Waiting writes start in the order they came. A range is [offset, offset + length) in bytes.
 */

/** A range of bytes that is locked; a BlockRequest is one. */
export type ByteRange = { readonly offset: number; readonly length: number };

export class OverlapTracker<Range extends ByteRange> {
  readonly #active: Range[] = [];
  readonly #waiting: Range[] = [];

  get active(): number {
    return this.#active.length;
  }

  /** The writes in flight, in no order. */
  activeRequests(): readonly Range[] {
    return this.#active;
  }

  /** The writes that wait for an overlapping one. */
  waitingRequests(): readonly Range[] {
    return this.#waiting;
  }

  /** Enters `request`: true if it may start; false if it waits and will be returned by a later `leave`. */
  enter(request: Range): boolean {
    if (overlapsAny(this.#active, request) || overlapsAny(this.#waiting, request)) {
      this.#waiting.push(request);
      return false;
    }
    this.#active.push(request);
    return true;
  }

  /** Ends an entered `request`, if it has not ended; returns the waiting writes that may start now, already entered. */
  leave(request: Range): readonly Range[] {
    const index = this.#active.indexOf(request);
    if (index < 0) return NONE;
    const last = this.#active.pop() as Range;
    if (index < this.#active.length) this.#active[index] = last;
    return this.#waiting.length === 0 ? NONE : this.#admit();
  }

  /** Takes a write that has not started out of the queue; returns those that may start now, already entered. */
  withdraw(request: Range): readonly Range[] {
    const index = this.#waiting.indexOf(request);
    if (index >= 0) this.#waiting.splice(index, 1);
    return this.#waiting.length === 0 ? NONE : this.#admit();
  }

  #admit(): readonly Range[] {
    const admitted: Range[] = [];
    const stillWaiting: Range[] = [];
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

const NONE: readonly never[] = [];

function overlapsAny(requests: readonly ByteRange[], request: ByteRange): boolean {
  const end = request.offset + request.length;
  for (let i = 0; i < requests.length; i++) {
    const other = requests[i] as ByteRange;
    if (other.offset < end && request.offset < other.offset + other.length) return true;
  }
  return false;
}
