/** RangeLocks: who may work on which chunks of the buffer, for requests and for the commit. */

import { type ByteRange, OverlapTracker } from '../../block/overlap-tracker.ts';

/** Something that wants a range, and is started when it has it. */
export type Locker = ByteRange & { start(): void };

export class RangeLocks {
  readonly #tracker = new OverlapTracker<Locker>();

  /** Starts `locker` once no earlier one overlaps it, perhaps at once. */
  lock(locker: Locker): void {
    if (this.#tracker.enter(locker)) locker.start();
  }

  /** Ends `locker`'s turn and starts those that waited for it. */
  unlock(locker: Locker): void {
    for (const admitted of this.#tracker.leave(locker)) admitted.start();
  }

  /** Runs `work` while holding [offset, offset + length). */
  async holding<T>(offset: number, length: number, work: () => Promise<T>): Promise<T> {
    let locker: Locker = { offset, length, start: () => {} };
    await new Promise<void>(resolve => {
      locker = { offset, length, start: resolve };
      this.lock(locker);
    });
    try {
      return await work();
    } finally {
      this.unlock(locker);
    }
  }
}
