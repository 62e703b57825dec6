/** JobReport: the status and the progress of a job, and the events that tell of them. */

import { assert } from '../base/assert.ts';
import type { ErrorAction } from './error-policy.ts';
import type { BlockJobProgress, JobEvent } from './job-event.ts';
import type { JobOptions } from './job-options.ts';
import { isNextStatus, type JobStatus } from './job-status.ts';
import type { RateLimit } from './rate-limit.ts';

export class JobReport {
  /** Bytes done and bytes in all. */
  done = 0;
  total = 0;
  readonly #options: JobOptions;
  readonly #limit: RateLimit;
  #status: JobStatus = 'created';

  /** Tells that the job is created. */
  constructor(options: JobOptions, limit: RateLimit) {
    this.#options = options;
    this.#limit = limit;
    this.#emitStatus();
  }

  get status(): JobStatus {
    return this.#status;
  }

  /** The job goes on to `status`. */
  enter(status: JobStatus): void {
    assert(isNextStatus(this.#status, status), `A job goes from ${this.#status} to one of the next statuses`);
    this.#status = status;
    this.#emitStatus();
  }

  ready(): void {
    this.#emit({ name: 'BLOCK_JOB_READY', data: this.#progress });
  }

  /** A request has failed. */
  failed(operation: 'read' | 'write', action: ErrorAction): void {
    this.#emit({ name: 'BLOCK_JOB_ERROR', data: { device: this.#options.id, operation, action } });
  }

  /** The job waits to be finalized. */
  pending(): void {
    const { type, id } = this.#options;
    this.#emit({ name: 'BLOCK_JOB_PENDING', data: { type, id } });
  }

  /** The job has come to its end, with `error` where that is not null. */
  completed(error: string | null): void {
    const data = this.#progress;
    this.#emit({ name: 'BLOCK_JOB_COMPLETED', data: error === null ? data : { ...data, error } });
  }

  cancelled(): void {
    this.#emit({ name: 'BLOCK_JOB_CANCELLED', data: this.#progress });
  }

  get #progress(): BlockJobProgress {
    const { id, type } = this.#options;
    return { device: id, len: this.total, offset: this.done, speed: this.#limit.bytesPerSecond, type };
  }

  #emitStatus(): void {
    this.#emit({ name: 'JOB_STATUS_CHANGE', data: { id: this.#options.id, status: this.#status } });
  }

  #emit(event: JobEvent): void {
    this.#options.emit?.(event);
  }
}
