/** JobList: the jobs of a daemon by id. */

import { UsageError } from '../base/errors.ts';
import { Job, type JobControl, type JobInfo, type JobStatus } from './job.ts';

const MAX_JOBS = 256;

export class JobList {
  readonly #jobs = new Map<string, Job>();
  readonly #onStatus: (id: string, status: JobStatus) => void;

  constructor(onStatus: (id: string, status: JobStatus) => void = () => {}) {
    this.#onStatus = onStatus;
  }

  infos(): readonly JobInfo[] {
    return [...this.#jobs.values()].map(job => job.info);
  }

  /** The job called `id`; throws UsageError in QEMU's words where there is none. */
  get(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new UsageError('Job not found');
    return job;
  }

  /** Throws UsageError where a job cannot be called `id`: ask before doing what cannot be undone. */
  checkId(id: string): void {
    if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) throw new UsageError(`Invalid job ID '${id}'`);
    if (this.#jobs.has(id)) throw new UsageError(`Job ID '${id}' already in use; job-dismiss it if it has concluded`);
    if (this.#jobs.size >= MAX_JOBS) throw new UsageError(`There are ${MAX_JOBS} jobs; dismiss those that concluded`);
  }

  /** Lets every job run to its end, the paused ones too; resolves when none runs any more. */
  async finishAll(): Promise<void> {
    for (const job of this.#jobs.values()) {
      if (job.status === 'paused') job.resume();
      if (job.status !== 'concluded') await job.ended;
    }
  }

  /** Starts `work` as a job called `id`. */
  start(id: string, type: string, work: (control: JobControl) => Promise<void>): Job {
    this.checkId(id);
    const job = new Job({
      id,
      type,
      work,
      onStatus: (id, status) => {
        if (status === 'null') this.#jobs.delete(id);
        this.#onStatus(id, status);
      },
    });
    this.#jobs.set(id, job);
    this.#onStatus(id, job.status);
    job.start();
    return job;
  }

  /** Cancels what runs and resolves when all work has ended. Bound it with a deadline. */
  async cancelAll(): Promise<void> {
    const jobs = [...this.#jobs.values()];
    for (const job of jobs) if (job.status === 'running' || job.status === 'paused') job.cancel();
    await Promise.all(jobs.map(job => (job.status === 'concluded' ? null : job.ended)));
  }
}
