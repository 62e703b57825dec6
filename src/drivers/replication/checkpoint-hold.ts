/**
 * CheckpointHold: keeps a primary's new writes back while a checkpoint is cut.
 *
 * From the tick in which it begins no write is sent; it is there when those in flight have returned and the node can
 * vouch for all of them. What is held waits for the end, which sends it: the exports' limits on requests in flight bound
 * it, and ConsistencyGroup bounds how long it lasts.
 */

import type { Clock } from '../../base/clock.ts';
import { type Deferred, deferred, withDeadline } from '../../base/deadline.ts';

export type CheckpointHoldOptions<Write> = {
  /** For people. */
  readonly nodeName: string;
  readonly clock: Clock;
  /** No write is in flight. */
  readonly isQuiet: () => boolean;
  /** Throws where the node cannot vouch for every write of the epoch. */
  readonly refuseUnlessClean: (checkpoint: number) => void;
  /** Sends a write that was held. */
  readonly send: (write: Write) => void;
};

export class CheckpointHold<Write> {
  readonly #options: CheckpointHoldOptions<Write>;
  #isActive = false;
  #held: Write[] = [];
  #quiet: Deferred<void> | null = null;

  constructor(options: CheckpointHoldOptions<Write>) {
    this.#options = options;
  }

  /** New writes are to be held. */
  get isActive(): boolean {
    return this.#isActive;
  }

  /** Writes that are held. */
  get count(): number {
    return this.#held.length;
  }

  hold(write: Write): void {
    this.#held.push(write);
  }

  /** A write has returned. */
  writeReturned(): void {
    if (this.#quiet !== null && this.#options.isQuiet()) this.#quiet.resolve();
  }

  /** Holds new writes and awaits those in flight. Throws, holding nothing, where they are late or the node cannot vouch. */
  async begin(checkpoint: number, deadlineMs: number): Promise<void> {
    const { nodeName, clock, isQuiet, refuseUnlessClean } = this.#options;
    refuseUnlessClean(checkpoint);
    this.#isActive = true;
    try {
      if (!isQuiet()) {
        this.#quiet = deferred();
        const message = `Writes of node '${nodeName}' did not return within ${deadlineMs} ms; checkpoint ${checkpoint} is void`;
        await withDeadline(this.#quiet.promise, deadlineMs, clock, message);
      }
      refuseUnlessClean(checkpoint);
    } catch (error) {
      this.end();
      throw error;
    } finally {
      this.#quiet = null;
    }
  }

  /** Sends what was held, in the order it came. */
  end(): void {
    this.#isActive = false;
    const held = this.#held;
    this.#held = [];
    for (const write of held) this.#options.send(write);
  }
}
