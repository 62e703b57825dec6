/** RangeCoverage: which bytes of a read have arrived, so that none is missing at the end and none came twice. */

import { ProtocolError } from '../../base/errors.ts';

/** Separate pieces that one reply may be in at a time; a reply scattered more widely is no server's honest answer. */
const MAX_FRAGMENTS = 16_384;

export class RangeCoverage {
  /** Bytes from the start on that are there. Chunks nearly always arrive in order, and then this is all there is. */
  #prefix = 0;
  /** Starts and ends beyond the prefix, in ascending order, neither touching nor overlapping. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  reset(): void {
    this.#prefix = 0;
    // Setting a length is slow even where it changes nothing.
    if (this.#starts.length === 0) return;
    this.#starts.length = 0;
    this.#ends.length = 0;
  }

  /** Adds `start` to `end`. Throws ProtocolError where a part of it had been there. */
  add(start: number, end: number): void {
    if (start < this.#prefix) throw overlap(start, end);
    if (this.#starts.length > 0) this.#insert(start, end);
    else if (start === this.#prefix) this.#prefix = end;
    else this.#insert(start, end);
  }

  /** True where everything from 0 to `length` is there. */
  isComplete(length: number): boolean {
    return this.#prefix === length;
  }

  #insert(start: number, end: number): void {
    const at = this.#firstStartingFrom(start);
    const before = at === 0 ? this.#prefix : (this.#ends[at - 1] as number);
    const after = this.#starts[at] ?? Number.POSITIVE_INFINITY;
    if (before > start || after < end) throw overlap(start, end);
    if (at > 0 && before === start) {
      this.#ends[at - 1] = end;
      if (after === end) this.#join(at - 1);
    } else if (after === end) {
      this.#starts[at] = start;
    } else {
      if (this.#starts.length === MAX_FRAGMENTS) {
        throw new ProtocolError(`A read reply is scattered over more than ${MAX_FRAGMENTS} fragments`);
      }
      this.#starts.splice(at, 0, start);
      this.#ends.splice(at, 0, end);
    }
    if (this.#starts[0] === this.#prefix) {
      this.#prefix = this.#ends[0] as number;
      this.#starts.shift();
      this.#ends.shift();
    }
  }

  /** Makes one fragment of `index` and its successor. */
  #join(index: number): void {
    this.#ends[index] = this.#ends[index + 1] as number;
    this.#starts.splice(index + 1, 1);
    this.#ends.splice(index + 1, 1);
  }

  #firstStartingFrom(start: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] as number) < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function overlap(start: number, end: number): ProtocolError {
  return new ProtocolError(`The chunk for bytes ${start} to ${end} of a read overlaps one that had come`);
}
