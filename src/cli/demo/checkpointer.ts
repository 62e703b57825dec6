/**
 * Checkpointer: takes checkpoints of a pair under load, by the commands an operator sends to the two monitors.
 *
 *   primary prepare → secondary prepare → primary resume → secondary do
 *   └────────────── pause of new writes ─────────────┘
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { ColobusError, messageOf } from '../../base/errors.ts';
import { QmpError } from '../../monitor/index.ts';
import type { BlockWriter } from './block-writer.ts';
import { type HostPair, PRIMARY_NODES, SECONDARY_NODES } from './host-pair.ts';
import type { ViewReader } from './view-reader.ts';
import type { Cut, WriteLog } from './write-log.ts';

export const CHECKPOINT_INTERVAL_MS = 250;
/** On a machine that is too slow a prepare may run out of time; it is aborted and the next one tried. */
const MAX_REFUSALS_IN_A_ROW = 10;

export type CheckpointerOptions = {
  readonly pair: HostPair;
  readonly log: WriteLog;
  readonly writer: BlockWriter;
  readonly view: ViewReader;
  readonly signal: AbortSignal;
};

export class Checkpointer {
  /** From sending the primary's prepare to the answer to its resume, for each checkpoint. */
  readonly pausesMs: number[] = [];
  /** Originals in the buffer when it was last looked at, and the most there have been. */
  bufferBytes = 0;
  peakBufferBytes = 0;
  /** Attempts that a host refused and that were aborted on both. */
  refused = 0;
  readonly #options: CheckpointerOptions;
  #preservedBytes = 0;
  #refusedInARow = 0;

  constructor(options: CheckpointerOptions) {
    this.#options = options;
  }

  /** Originals that the buffer had preserved when a checkpoint dropped them, all checkpoints together. */
  get preservedBytes(): number {
    return this.#preservedBytes;
  }

  /** Takes a checkpoint every CHECKPOINT_INTERVAL_MS; returns `durationMs` later, half an interval behind the last. */
  async run(durationMs: number): Promise<void> {
    const endMs = performance.now() + durationMs;
    let atMs = performance.now();
    for (;;) {
      // A machine that was held up does not make up for what it missed.
      atMs = Math.max(atMs + CHECKPOINT_INTERVAL_MS, performance.now());
      if (atMs >= endMs) break;
      await this.#wait(atMs - CHECKPOINT_INTERVAL_MS / 2);
      await this.#lookAtBuffer();
      await this.#wait(atMs);
      await this.#attempt();
    }
    await this.#wait(performance.now() + CHECKPOINT_INTERVAL_MS / 2);
    await this.#lookAtBuffer();
  }

  async #attempt(): Promise<void> {
    try {
      await this.#take();
      this.#refusedInARow = 0;
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      this.refused += 1;
      this.#refusedInARow += 1;
      if (this.#refusedInARow === MAX_REFUSALS_IN_A_ROW) {
        throw new ColobusError(`${MAX_REFUSALS_IN_A_ROW} checkpoints in a row were refused: ${messageOf(error)}`);
      }
    }
  }

  async #take(): Promise<void> {
    const { pair, log, view } = this.#options;
    const checkpoint = log.cuts.length + 1;
    const startMs = performance.now();
    const cut = await this.#prepareAndResume(checkpoint);
    this.pausesMs.push(performance.now() - startMs);
    // Prepared, the secondary puts what the primary overwrites now into the next generation: this one is complete.
    await this.#lookAtBuffer();
    this.#preservedBytes += this.bufferBytes;
    view.mayBecome(cut.content);
    await pair.beta.execute('replication-checkpoint-do', { nodes: SECONDARY_NODES, checkpoint });
    view.became(cut.content);
    log.keep(cut);
    this.bufferBytes = 0;
  }

  async #prepareAndResume(checkpoint: number): Promise<Cut> {
    const { pair, log, writer } = this.#options;
    const onPrimary = { nodes: PRIMARY_NODES, checkpoint };
    const onSecondary = { nodes: SECONDARY_NODES, checkpoint };
    try {
      const { writes } = await pair.alpha.execute<{ writes: object }>('replication-checkpoint-prepare', onPrimary);
      const [prepared, arrived] = await Promise.allSettled([
        pair.beta.execute('replication-checkpoint-prepare', { ...onSecondary, writes }),
        writer.acknowledgementsArrived(),
      ]);
      for (const step of [arrived, prepared]) if (step.status === 'rejected') throw step.reason;
      const cut = log.cut();
      await pair.alpha.execute('replication-resume', onPrimary);
      return cut;
    } catch (error) {
      if (error instanceof QmpError) {
        await pair.alpha.execute('replication-checkpoint-abort', onPrimary);
        await pair.beta.execute('replication-checkpoint-abort', onSecondary);
      }
      throw error;
    }
  }

  async #lookAtBuffer(): Promise<void> {
    type Status = { readonly buffer: { readonly 'original-bytes': number } };
    const [status] = await this.#options.pair.beta.execute<Status[]>('query-replication');
    this.bufferBytes = status?.buffer['original-bytes'] ?? 0;
    this.peakBufferBytes = Math.max(this.peakBufferBytes, this.bufferBytes);
  }

  async #wait(untilMs: number): Promise<void> {
    const ms = untilMs - performance.now();
    if (ms > 0) await sleep(ms, undefined, { signal: this.#options.signal });
  }
}
