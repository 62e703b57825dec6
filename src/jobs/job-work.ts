/** JobWork: what a job does, and JobControl: what it is given for that. */

import type { Clock } from '../base/clock.ts';
import type { OnError } from './error-policy.ts';
import type { RateLimit } from './rate-limit.ts';

/** How a job that is ready is to end: as asked by job-complete, or by a cancel that keeps the copy. */
export type Ending = 'complete' | 'cancel';

export interface JobWork {
  /** Done before `run`: whoever starts the job waits for it. Throws why it cannot be. */
  prepare?(control: JobControl): Promise<void>;
  /** The job counts as paused meanwhile. */
  readonly pausesToPrepare?: boolean;
  /** Does the work; resolves when it is done and no request of it is in flight. Throws why it could not be done. */
  run(control: JobControl): Promise<void>;
  /** After `run`, when the job is finalized: lets the work take effect. Throws where it cannot; it has no effect then. */
  finalize?(): Promise<void>;
  /** Always the last: gives back all that the work holds. */
  close?(): Promise<void>;
  /** Something has changed that the work may wait for: a pause, a resume, a cancel, the speed, the ending. */
  wake?(): void;
}

export interface JobControl {
  /** A pause or a cancel was asked for: start nothing new, wait for what is in flight, then call `pausePoint`. */
  readonly mustYield: boolean;
  /** How a job that is ready is to end; null until that is asked for. */
  readonly ending: Ending | null;
  readonly limit: RateLimit;
  readonly clock: Clock;
  /** With nothing in flight: waits while the job is paused, throws ECANCELED once it is cancelled. */
  pausePoint(): Promise<void>;
  /**
   * What `promise` brings, or a throw of ECANCELED as soon as the job is cancelled: for a wait that may have no end.
   * What is awaited goes on regardless.
   */
  unlessCancelled<T>(promise: Promise<T>): Promise<T>;
  /** The work cannot be done any more: a pause ends, so that it can say so. */
  endPause(): void;
  /** Says how far the work is, in bytes. */
  progress(done: number, total: number): void;
  /** The work has caught up and goes on until `ending` says how it is to end. */
  ready(): void;
  /** Tells of a request that failed; returns what to do about it. On `stop` the job is pausing already. */
  failed(operation: 'read' | 'write', errno: number, policy: OnError): 'report' | 'ignore' | 'stop';
}
