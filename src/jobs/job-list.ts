/** JobList: the jobs of a daemon by id. */

import type { Clock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';
import { Job } from './job.ts';
import type { JobEvent, JobEventSink } from './job-event.ts';
import type { JobInfo, JobOptions } from './job-options.ts';

const MAX_JOBS = 256;

/** A job as it is asked for; the list gives it the rest. */
export type NewJob = Omit<JobOptions, 'clock' | 'emit'> & {
  /** The node whose content it works on. */
  readonly node: BlockNode;
};

export class JobList {
  readonly #jobs = new Map<string, Job>();
  readonly #nodes = new Map<Job, BlockNode>();
  readonly #clock: Clock;
  readonly #emit: JobEventSink;

  constructor(clock: Clock, emit: JobEventSink = () => {}) {
    this.#clock = clock;
    this.#emit = emit;
  }

  infos(): readonly JobInfo[] {
    return [...this.#jobs.values()].map(job => job.info);
  }

  find(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** The job called `id`; throws UsageError in QEMU's words where there is none. */
  get(id: string): Job {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new UsageError('Job not found');
    return job;
  }

  /** The job that has not ended and works on `node`. */
  workingOn(node: BlockNode): Job | undefined {
    for (const [job, worked] of this.#nodes) if (worked === node) return job;
    return undefined;
  }

  /** Throws UsageError where a job cannot be called `id`: ask before doing what cannot be undone. */
  checkId(id: string): void {
    this.checkIds([id]);
  }

  /** Throws UsageError where not all of `ids`, which differ, can become jobs. */
  checkIds(ids: readonly string[]): void {
    for (const id of ids) {
      if (!/^[A-Za-z][A-Za-z0-9._-]*$/.test(id)) throw new UsageError(`Invalid job ID '${id}'`);
      if (this.#jobs.has(id)) throw new UsageError(`Job ID '${id}' already in use; job-dismiss it if it has concluded`);
    }
    if (this.#jobs.size + ids.length > MAX_JOBS) {
      throw new UsageError(`There are ${this.#jobs.size} jobs of at most ${MAX_JOBS}; dismiss those that concluded`);
    }
  }

  /** Creates and starts a job. Throws where it cannot be; `job.prepared` tells when it is prepared. */
  start(wanted: NewJob): Job {
    this.checkId(wanted.id);
    const job = new Job({ ...wanted, clock: this.#clock, emit: event => this.#tell(event) });
    this.#jobs.set(job.id, job);
    this.#nodes.set(job, wanted.node);
    void job.ended.then(() => this.#nodes.delete(job));
    job.start();
    return job;
  }

  /**
   * For the end of the daemon: lets the jobs that must be finished run to their end, the paused ones too, and cancels
   * the others; resolves with those that did not succeed although they should have. Bound it with a deadline.
   */
  async finishAll(): Promise<readonly JobInfo[]> {
    const jobs = [...this.#jobs.values()];
    for (const job of jobs) if (!job.finishAtEnd) job.cancelIfRunning();
    await Promise.all(jobs.map(job => (job.finishAtEnd ? job.finish() : job.ended)));
    return this.unfinished(jobs);
  }

  /** Those of `jobs` that should have run to their end and did not, or failed. */
  unfinished(jobs: Iterable<Job> = this.#jobs.values()): readonly JobInfo[] {
    return [...jobs]
      .filter(job => job.finishAtEnd)
      .map(job => job.info)
      .filter(info => info.error !== undefined || (info.status !== 'concluded' && info.status !== 'null'));
  }

  /** Cancels what runs and resolves when all work has ended. Bound it with a deadline. */
  async cancelAll(): Promise<void> {
    const jobs = [...this.#jobs.values()];
    for (const job of jobs) job.cancelIfRunning();
    await Promise.all(jobs.map(job => job.ended));
  }

  #tell(event: JobEvent): void {
    if (event.name === 'JOB_STATUS_CHANGE' && event.data.status === 'null') this.#jobs.delete(event.data.id);
    this.#emit(event);
  }
}
