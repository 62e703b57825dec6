/**
 * ExtentRuns: extents of an image as runs of zeroes and of data whose borders are aligned.
 *
 * Extents come in order and without gaps, with any borders. A run of data grows to the next aligned borders and takes
 * from the zeroes beside it, so that every byte that may be other than zero is in a run of data.
 */

import { assert } from '../base/assert.ts';

export type Run = { readonly offset: number; readonly length: number; readonly isZero: boolean };

export class ExtentRuns {
  readonly #alignment: number;
  readonly #end: number;
  readonly #runs: Run[] = [];
  #first = 0;
  /** Up to where extents have come. */
  #known = 0;
  /** Up to where runs have been made. */
  #made = 0;

  /** Runs of `lengthBytes` bytes; `alignment` is a power of two. */
  constructor(lengthBytes: number, alignment: number) {
    this.#end = lengthBytes;
    this.#alignment = alignment;
  }

  /** Where the next extent begins. */
  get knownBytes(): number {
    return this.#known;
  }

  /** Runs that wait to be taken. */
  get count(): number {
    return this.#runs.length - this.#first;
  }

  /** The next run, or null until more extents come. */
  get next(): Run | null {
    return this.#runs[this.#first] ?? null;
  }

  /** Adds the next extent. */
  append(length: number, isZero: boolean): void {
    const start = this.#known;
    const end = start + length;
    assert(length > 0 && end <= this.#end, 'Extents do not reach past the image');
    this.#known = end;
    const isLast = end === this.#end;
    if (isZero) {
      const zeroStart = Math.max(this.#made, this.#roundUp(start));
      const zeroEnd = isLast ? end : this.#roundDown(end);
      if (zeroEnd > zeroStart) {
        this.#make(zeroStart, false);
        this.#make(zeroEnd, true);
      }
      if (isLast) this.#make(end, false);
    } else {
      this.#make(isLast ? end : this.#roundUp(end), false);
    }
  }

  /** Takes the first `length` bytes of the next run. */
  take(length: number): void {
    const run = this.next;
    assert(run !== null && length > 0 && length <= run.length, 'What is taken is there');
    if (length < run.length) {
      this.#runs[this.#first] = { ...run, offset: run.offset + length, length: run.length - length };
      return;
    }
    this.#first += 1;
    if (this.#first === this.#runs.length) {
      this.#runs.length = 0;
      this.#first = 0;
    }
  }

  /** Makes a run up to `end`, as part of the last one where both are alike. */
  #make(end: number, isZero: boolean): void {
    const offset = this.#made;
    const length = Math.min(end, this.#end) - offset;
    if (length <= 0) return;
    this.#made = offset + length;
    const index = this.#runs.length - 1;
    const last = this.#runs[index];
    if (last !== undefined && last.isZero === isZero) this.#runs[index] = { ...last, length: last.length + length };
    else this.#runs.push({ offset, length, isZero });
  }

  #roundUp(offset: number): number {
    return Math.ceil(offset / this.#alignment) * this.#alignment;
  }

  #roundDown(offset: number): number {
    return Math.floor(offset / this.#alignment) * this.#alignment;
  }
}
