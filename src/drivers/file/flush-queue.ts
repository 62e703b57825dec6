/**
 * FlushQueue: makes an image durable, with one fdatasync at a time.
 *
 * A flush joins only a sync that has not started, because a running one may have passed the writes it must cover. When
 * a sync fails the latch closes, and everything that waited for a later one fails with it.
 */

import { errnoOf } from '../../base/errno.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { FailureLatch } from '../../block/failure-latch.ts';

/** Starts a sync; `done` is told what fs.fdatasync tells. */
export type StartSync = (done: (error: Error | null) => void) => void;

export class FlushQueue {
  readonly #startSync: StartSync;
  readonly #latch: FailureLatch;
  readonly #finish: (request: BlockRequest, errno: number) => void;
  #syncing = false;
  /** What the running sync answers. */
  #covered: BlockRequest[] = [];
  /** What the next one will. */
  #waiting: BlockRequest[] = [];

  constructor(startSync: StartSync, latch: FailureLatch, finish: (request: BlockRequest, errno: number) => void) {
    this.#startSync = startSync;
    this.#latch = latch;
    this.#finish = finish;
  }

  /** Finishes `request` when all writes that completed before now are durable, or with the errno of a failed sync. */
  add(request: BlockRequest): void {
    if (this.#latch.errno !== 0) {
      this.#finish(request, this.#latch.errno);
      return;
    }
    this.#waiting.push(request);
    if (!this.#syncing) this.#sync();
  }

  /** Syncs without being asked by a request, unless a sync is running; that it fails is remembered like any failure. */
  syncBehind(): void {
    if (!this.#syncing && this.#latch.errno === 0) this.#sync();
  }

  #sync(): void {
    this.#syncing = true;
    const covered = this.#waiting;
    this.#waiting = this.#covered;
    this.#covered = covered;
    this.#startSync(this.#onSynced);
  }

  readonly #onSynced = (error: Error | null): void => {
    if (error !== null) this.#latch.fail(errnoOf(error));
    this.#answer(this.#covered);
    if (this.#latch.errno !== 0) this.#answer(this.#waiting);
    this.#syncing = false;
    if (this.#waiting.length > 0) this.#sync();
  };

  #answer(requests: BlockRequest[]): void {
    const errno = this.#latch.errno;
    for (const request of requests) this.#finish(request, errno);
    requests.length = 0;
  }
}
