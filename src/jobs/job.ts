/**
 * Job: long work in the background that can be watched, paused, slowed down, completed and cancelled.
 *
 * Statuses, their order and the events are QEMU's (see JobStatus). What a job is told takes effect when its work comes
 * to its next pause point: it is paused, or cancelled, when no request of it is in flight any more. A forced cancel
 * waits for requests a bounded time only, and leaves behind what has not returned.
 */

import type { Clock } from '../base/clock.ts';
import { type Deferred, deferred } from '../base/deadline.ts';
import { ECANCELED, ENOSPC } from '../base/errno.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import { strerror } from '../os/libc.ts';
import { Cancellation } from './cancellation.ts';
import { actionFor, type ErrorAction, type OnError } from './error-policy.ts';
import type { IoStatus, JobInfo, JobOptions } from './job-options.ts';
import { JobReport } from './job-report.ts';
import { acceptsVerb, type JobStatus, type JobVerb } from './job-status.ts';
import type { Ending, JobControl, JobWork } from './job-work.ts';
import { RateLimit } from './rate-limit.ts';

export class Job implements JobControl {
  readonly id: string;
  readonly type: string;
  readonly limit: RateLimit;
  readonly clock: Clock;
  readonly finishAtEnd: boolean;
  readonly #options: JobOptions;
  readonly #work: JobWork;
  readonly #prepared = deferred<void>();
  readonly #ended = deferred<void>();
  readonly #cancellation = new Cancellation();
  readonly #report: JobReport;
  /** Resolves at a resume, and at a cancel; null while no pause is asked for. */
  #unpaused: Deferred<void> | null = null;
  #isPreparing = false;
  #isFinishing = false;
  #ending: Ending | null = null;
  #finalizeAsked: Deferred<void> | null = null;
  #ioStatus: IoStatus = 'ok';
  #error: string | null = null;

  /** Creates a job, which is in status `created` until it is started. Throws UsageError for a speed below 0. */
  constructor(options: JobOptions) {
    this.#options = options;
    this.id = options.id;
    this.type = options.type;
    this.#work = options.work;
    this.clock = options.clock;
    this.limit = new RateLimit(options.clock, options.speed ?? 0);
    this.#report = new JobReport(options, this.limit);
    this.finishAtEnd = options.finishAtEnd ?? false;
    // Not everybody who starts a job waits for it to be prepared.
    this.#prepared.promise.catch(() => {});
    try {
      checkSpeed(options.speed ?? 0);
    } catch (error) {
      this.#report.enter('null');
      throw error;
    }
  }

  // --- for those who watch it -------------------------------------------------------------------------------------

  get status(): JobStatus {
    return this.#report.status;
  }

  get info(): JobInfo {
    return {
      id: this.id,
      type: this.type,
      status: this.status,
      currentProgress: this.#report.done,
      totalProgress: this.#report.total,
      ...(this.#error === null ? {} : { error: this.#error }),
      isPaused: this.#unpaused !== null,
      isReady: this.status === 'ready' || this.status === 'standby',
      ioStatus: this.#ioStatus,
      speed: this.limit.bytesPerSecond,
      autoFinalize: this.#options.autoFinalize ?? true,
      autoDismiss: this.#options.autoDismiss !== false,
    };
  }

  /** Resolves when the work is prepared; throws why it could not be: the job has then concluded. */
  get prepared(): Promise<void> {
    return this.#prepared.promise;
  }

  /** Resolves when the job has concluded, well or badly; `info.error` tells which. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  // --- for those who command it: each throws UsageError in QEMU's words where the status forbids it ------------------

  /** Begins the work, which goes on by itself. */
  start(): void {
    this.#report.enter('running');
    void this.#run();
  }

  pause(): void {
    this.#check('pause');
    if (this.#unpaused !== null) throw new UsageError('Job is already paused');
    this.#unpaused = deferred();
    this.#work.wake?.();
  }

  resume(): void {
    if (this.#unpaused === null) throw new UsageError("Can't resume a job that was not paused");
    this.#check('resume');
    this.#ioStatus = 'ok';
    this.#unpause();
  }

  /**
   * Ends the job before its work is done. Without `force`, one that is ready keeps its copy and succeeds, and one that
   * is paused refuses.
   */
  cancel(options: { readonly force: boolean }): void {
    if (!options.force && this.#unpaused !== null && this.status !== 'pending') {
      throw new UsageError(`The block job for device '${this.id}' is currently paused`);
    }
    this.#check('cancel');
    if (!options.force && this.status === 'ready') {
      this.#ending ??= 'cancel';
      this.#work.wake?.();
      return;
    }
    this.#cancellation.ask();
    this.#unpause();
    this.#finalizeAsked?.resolve();
  }

  /** Lets a job that is ready take effect. */
  complete(): void {
    this.#check('complete');
    if (this.#cancellation.isAsked || this.#ending === 'cancel') {
      throw new UsageError(`The active block job '${this.id}' cannot be completed`);
    }
    this.#ending = 'complete';
    this.#work.wake?.();
  }

  /** Lets a pending job take effect; resolves when it has concluded. */
  async finalize(): Promise<void> {
    this.#check('finalize');
    this.#finalizeAsked?.resolve();
    await this.ended;
  }

  /** Cancels the job unless it has ended or is about to. */
  cancelIfRunning(): void {
    if (acceptsVerb(this.status, 'cancel')) this.cancel({ force: true });
  }

  /** Lets the job run to its end, whatever it waits for; resolves when it has concluded. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    // Also one that a failure has stopped while it was pending, where no resume is taken.
    if (this.#unpaused !== null) {
      this.#ioStatus = 'ok';
      this.#unpause();
    }
    if (this.status === 'ready') this.#ending ??= 'complete';
    this.#finalizeAsked?.resolve();
    this.#work.wake?.();
    await this.ended;
  }

  dismiss(): void {
    this.#check('dismiss');
    this.#report.enter('null');
  }

  /** Bytes a second from now on; 0 is no limit. */
  setSpeed(bytesPerSecond: number): void {
    this.#check('set-speed');
    checkSpeed(bytesPerSecond);
    this.limit.bytesPerSecond = bytesPerSecond;
    this.#work.wake?.();
  }

  // --- for its work -----------------------------------------------------------------------------------------------

  get mustYield(): boolean {
    return this.#cancellation.isAsked || this.#unpaused !== null;
  }

  get ending(): Ending | null {
    return this.#ending;
  }

  async pausePoint(): Promise<void> {
    while (this.#unpaused !== null && !this.#cancellation.isAsked) {
      this.#report.enter(this.status === 'ready' ? 'standby' : 'paused');
      await this.#unpaused.promise;
    }
    this.#cancellation.check();
  }

  unlessCancelled<T>(promise: Promise<T>): Promise<T> {
    return this.#cancellation.unlessAsked(promise);
  }

  endPause(): void {
    if (this.#unpaused !== null) this.#unpause();
  }

  progress(done: number, total: number): void {
    this.#report.done = done;
    this.#report.total = total;
  }

  ready(): void {
    this.#report.enter('ready');
    if (this.#isFinishing) this.#ending ??= 'complete';
    this.#report.ready();
  }

  failed(operation: 'read' | 'write', errno: number, policy: OnError): ErrorAction {
    // What was left behind at a target that hangs is nobody's concern any more when it returns.
    if (!acceptsVerb(this.status, 'cancel')) return 'report';
    const action = actionFor(policy, errno);
    this.#report.failed(operation, action);
    // Nobody is there any more to resume a job at the end of the daemon.
    if (action === 'stop' && this.#isFinishing) return 'report';
    if (action === 'stop' && !this.#cancellation.isAsked) {
      if (this.#ioStatus === 'ok') this.#ioStatus = errno === ENOSPC ? 'nospace' : 'failed';
      this.#unpaused ??= deferred();
    }
    return action;
  }

  // --- its life ---------------------------------------------------------------------------------------------------

  async #prepare(): Promise<void> {
    const pauses = this.#work.pausesToPrepare ?? false;
    this.#isPreparing = true;
    if (pauses) this.#report.enter('paused');
    try {
      await this.#work.prepare?.(this);
    } finally {
      this.#isPreparing = false;
      if (pauses) this.#report.enter('running');
    }
  }

  async #run(): Promise<void> {
    try {
      await this.#prepare();
    } catch (error) {
      await this.#abort(error);
      this.#prepared.reject(error);
      return;
    }
    this.#prepared.resolve();
    try {
      await this.#work.run(this);
      this.#cancellation.check();
      this.#report.enter('waiting');
      await this.#pend();
      this.#cancellation.check();
      await this.#work.finalize?.();
    } catch (error) {
      await this.#abort(error);
      return;
    }
    await this.#work.close?.();
    this.#report.completed(null);
    this.#conclude(this.#options.autoDismiss !== false);
  }

  async #pend(): Promise<void> {
    const waits = !(this.#options.autoFinalize ?? true) && !this.#isFinishing;
    if (waits) this.#finalizeAsked = deferred();
    this.#report.enter('pending');
    if (this.#finalizeAsked === null) return;
    this.#report.pending();
    await this.#finalizeAsked.promise;
  }

  async #abort(error: unknown): Promise<void> {
    this.#error = this.#cancellation.isAsked ? strerror(ECANCELED) : messageOf(error);
    this.#report.enter('aborting');
    await this.#work.close?.();
    if (this.#cancellation.isAsked) this.#report.cancelled();
    else this.#report.completed(this.#error);
    this.#conclude((this.#options.autoDismiss ?? true) === true);
  }

  #conclude(dismiss: boolean): void {
    this.#unpaused = null;
    this.#report.enter('concluded');
    if (dismiss) this.dismiss();
    this.#ended.resolve();
  }

  #unpause(): void {
    if (this.status === 'standby') this.#report.enter('ready');
    else if (this.status === 'paused' && !this.#isPreparing) this.#report.enter('running');
    this.#unpaused?.resolve();
    this.#unpaused = null;
    this.#work.wake?.();
  }

  #check(verb: JobVerb): void {
    if (acceptsVerb(this.status, verb)) return;
    throw new UsageError(`Job '${this.id}' in state '${this.status}' cannot accept command verb '${verb}'`);
  }
}

function checkSpeed(bytesPerSecond: number): void {
  if (bytesPerSecond < 0) throw new UsageError("Parameter 'speed' expects a non-negative value");
}
