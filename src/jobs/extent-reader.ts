/**
 * ExtentReader: walks an image and tells, some way ahead, where it has data and where it reads as zeroes.
 *
 * What does not tell is data. So is the rest of an image whose answers fail: reading it shows whether it can be had.
 */

import type { BlockBackend } from '../block/block-backend.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../block/block-request.ts';
import { EXTENT_ZERO, ExtentList } from '../block/extent-list.ts';
import { ExtentRuns, type Run } from './extent-runs.ts';

/** While fewer runs than this wait, more are asked for. */
const RUNS_AHEAD = 64;

export class ExtentReader implements RequestOwner {
  readonly #backend: BlockBackend;
  readonly #lengthBytes: number;
  readonly #runs: ExtentRuns;
  readonly #onMore: () => void;
  #isAsking = false;
  #takenBytes = 0;

  /** Reads the first `lengthBytes` bytes of `backend`'s image; `onMore` is called when there may be a next run again. */
  constructor(backend: BlockBackend, lengthBytes: number, alignment: number, onMore: () => void) {
    this.#backend = backend;
    this.#lengthBytes = lengthBytes;
    this.#runs = new ExtentRuns(lengthBytes, alignment);
    this.#onMore = onMore;
  }

  /** Every run has been taken. */
  get isAtEnd(): boolean {
    return this.#takenBytes === this.#lengthBytes;
  }

  /** The next run; null at the end, and while more is asked for, until `onMore`. */
  next(): Run | null {
    if (this.#runs.count < RUNS_AHEAD && this.#runs.knownBytes < this.#lengthBytes) this.#ask();
    return this.#runs.next;
  }

  /** Takes the first `length` bytes of the next run. */
  take(length: number): void {
    this.#runs.take(length);
    this.#takenBytes += length;
  }

  requestDone(request: BlockRequest): void {
    const { extents, errno } = request;
    releaseRequest(request);
    this.#isAsking = false;
    if (errno !== 0 || extents === null || extents.totalBytes === 0) {
      this.#runs.append(this.#lengthBytes - this.#runs.knownBytes, false);
    } else {
      for (const [index, length] of extents.lengths.entries()) {
        this.#runs.append(length, ((extents.flags[index] ?? 0) & EXTENT_ZERO) !== 0);
      }
    }
    this.#onMore();
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const request = takeRequest('block-status', this);
    request.offset = this.#runs.knownBytes;
    request.length = this.#lengthBytes - request.offset;
    request.extents = new ExtentList();
    this.#backend.submit(request);
  }
}
