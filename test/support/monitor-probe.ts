/** MonitorProbe: asks a monitor all the time and remembers how long the answers took. */

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { QmpClient } from '../../src/monitor/index.ts';

/** Between an answer and the next question, so that the asking itself is no load. */
const PAUSE_MS = 5;
/** A round trip stays under this (contracts: Control-plane promptness). */
const PROMPT_MS = 100;
/** For one in twenty: what the scheduler of a busy machine may add. Waiting for a deadline would be longer. */
const TOLERATED_MS = 400;

export class MonitorProbe implements AsyncDisposable {
  readonly #qmp: QmpClient;
  readonly #asking: Promise<void>;
  #isStopping = false;
  readonly #answersMs: number[] = [];

  private constructor(qmp: QmpClient) {
    this.#qmp = qmp;
    this.#asking = this.#ask();
  }

  static async start(monitorPath: string): Promise<MonitorProbe> {
    return new MonitorProbe(await QmpClient.connect(monitorPath));
  }

  /** Ends it; fails unless the monitor was prompt all the time. */
  async assertPrompt(): Promise<void> {
    this.#isStopping = true;
    await this.#asking;
    const sorted = this.#answersMs.sort((a, b) => a - b);
    const longestMs = sorted.at(-1) ?? assert.fail('The monitor was never asked');
    const usuallyMs = sorted[Math.ceil(sorted.length * 0.95) - 1] as number;
    assert.ok(usuallyMs < PROMPT_MS, `One in twenty answers took more than ${usuallyMs} ms`);
    assert.ok(longestMs < TOLERATED_MS, `The longest answer took ${longestMs} ms`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await Promise.allSettled([this.#asking]);
    await this.#qmp[Symbol.asyncDispose]();
  }

  async #ask(): Promise<void> {
    while (!this.#isStopping) {
      const startMs = performance.now();
      await this.#qmp.execute('query-replication');
      this.#answersMs.push(performance.now() - startMs);
      await pause(PAUSE_MS);
    }
  }
}
