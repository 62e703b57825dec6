/** MonitorProbe: asks a monitor all the time and remembers how long the longest answer took. */

import { setTimeout as pause } from 'node:timers/promises';
import { QmpClient } from '../../src/monitor/index.ts';

/** Between an answer and the next question, so that the asking itself is no load. */
const PAUSE_MS = 5;

export class MonitorProbe implements AsyncDisposable {
  readonly #qmp: QmpClient;
  readonly #asking: Promise<void>;
  #isStopping = false;
  #answers = 0;
  #longestMs = 0;

  private constructor(qmp: QmpClient) {
    this.#qmp = qmp;
    this.#asking = this.#ask();
  }

  static async start(monitorPath: string): Promise<MonitorProbe> {
    return new MonitorProbe(await QmpClient.connect(monitorPath));
  }

  /** Ends it and tells how long the longest `query-replication` took. */
  async stop(): Promise<{ readonly answers: number; readonly longestMs: number }> {
    this.#isStopping = true;
    await this.#asking;
    return { answers: this.#answers, longestMs: this.#longestMs };
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
      this.#longestMs = Math.max(this.#longestMs, performance.now() - startMs);
      this.#answers += 1;
      await pause(PAUSE_MS);
    }
  }
}
