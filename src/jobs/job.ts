/**
 * Job: long work in the background that can be watched, paused and cancelled.
 *
 *   created → running ⇄ paused → concluded → null (dismissed)
 *                │  └─cancel──► aborting ─┘
 *
 * Statuses are QEMU's. A job that succeeded dismisses itself, as QEMU's block jobs do; one that failed stays, with
 * its error, until it is dismissed.
 */

import { type Deferred, deferred } from '../base/deadline.ts';
import { ECANCELED } from '../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../base/errors.ts';

export type JobStatus = 'created' | 'running' | 'paused' | 'aborting' | 'concluded' | 'null';

export type JobInfo = {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  /** Bytes done and bytes in all; neither falls. */
  readonly currentProgress: number;
  readonly totalProgress: number;
  readonly error?: string;
};

/** What the work of a job is given. */
export interface JobControl {
  /** Between two steps: waits while the job is paused, throws ECANCELED once it is cancelled. */
  pausePoint(): Promise<void>;
  /** Says how far the work is, in bytes. */
  progress(done: number, total: number): void;
}

export type JobOptions = {
  readonly id: string;
  /** QEMU's job type, such as `commit`. */
  readonly type: string;
  readonly work: (control: JobControl) => Promise<void>;
  readonly onStatus?: (id: string, status: JobStatus) => void;
};

export class Job implements JobControl {
  readonly id: string;
  readonly type: string;
  readonly #work: (control: JobControl) => Promise<void>;
  readonly #onStatus: (id: string, status: JobStatus) => void;
  readonly #ended = deferred<void>();
  #status: JobStatus = 'created';
  #unpaused: Deferred<void> | null = null;
  #cancelled = false;
  #done = 0;
  #total = 0;
  #error: string | null = null;

  constructor(options: JobOptions) {
    this.id = options.id;
    this.type = options.type;
    this.#work = options.work;
    this.#onStatus = options.onStatus ?? (() => {});
  }

  get status(): JobStatus {
    return this.#status;
  }

  get info(): JobInfo {
    return {
      id: this.id,
      type: this.type,
      status: this.#status,
      currentProgress: this.#done,
      totalProgress: this.#total,
      ...(this.#error === null ? {} : { error: this.#error }),
    };
  }

  /** Resolves when the work has ended, well or badly; `info.error` tells which. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  start(): void {
    this.#setStatus('running');
    void this.#run();
  }

  pause(): void {
    if (this.#status !== 'running') throw this.#notNow('pause');
    this.#unpaused = deferred();
    this.#setStatus('paused');
  }

  resume(): void {
    if (this.#status !== 'paused') throw this.#notNow('resume');
    this.#setStatus('running');
    this.#unpaused?.resolve();
    this.#unpaused = null;
  }

  /** Ends the work at its next step; what is done stays done. */
  cancel(): void {
    if (this.#status !== 'running' && this.#status !== 'paused') throw this.#notNow('cancel');
    this.#cancelled = true;
    this.#setStatus('aborting');
    this.#unpaused?.resolve();
    this.#unpaused = null;
  }

  dismiss(): void {
    if (this.#status !== 'concluded') throw this.#notNow('dismiss');
    this.#setStatus('null');
  }

  async pausePoint(): Promise<void> {
    if (this.#unpaused !== null) await this.#unpaused.promise;
    if (this.#cancelled) throw new ColobusError(`Job '${this.id}' was cancelled`, { errno: ECANCELED });
  }

  progress(done: number, total: number): void {
    this.#done = done;
    this.#total = total;
  }

  async #run(): Promise<void> {
    try {
      await this.#work(this);
    } catch (error) {
      this.#error = messageOf(error);
    }
    this.#setStatus('concluded');
    if (this.#error === null) this.dismiss();
    this.#ended.resolve();
  }

  #setStatus(status: JobStatus): void {
    this.#status = status;
    this.#onStatus(this.id, status);
  }

  #notNow(verb: string): UsageError {
    return new UsageError(`Job '${this.id}' in state '${this.#status}' cannot accept command verb '${verb}'`);
  }
}
