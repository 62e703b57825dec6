/** CheckpointLoop: checkpoints of a pair, one after the other, as a standby would take them all day. */

import { setTimeout } from 'node:timers/promises';
import type { ColobusPair } from '../support/colobus-pair.ts';

const INTERVAL_MS = 250;

export class CheckpointLoop {
  /** How many were taken. */
  taken = 0;
  /** Why there are no more, where that is not because of `stop`. */
  failure: unknown = null;
  readonly #ended: Promise<void>;
  readonly #stopping = new AbortController();

  private constructor(pair: ColobusPair) {
    this.#ended = this.#run(pair);
  }

  static start(pair: ColobusPair): CheckpointLoop {
    return new CheckpointLoop(pair);
  }

  /** No more of them; resolves when the last has come to its end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #run(pair: ColobusPair): Promise<void> {
    const { signal } = this.#stopping;
    try {
      while (!signal.aborted) {
        await pair.checkpoint();
        this.taken += 1;
        await setTimeout(INTERVAL_MS, undefined, { signal });
      }
    } catch (error) {
      if (!signal.aborted) this.failure = error;
    }
  }
}
