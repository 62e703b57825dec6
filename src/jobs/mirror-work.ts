/**
 * MirrorWork: copies a node to another while it is written to, and lets its users go over to the copy at the end.
 *
 *   sweep until nothing is dirty ──► ready: sweep what writes make dirty ──► ending asked for
 *                                                                                │ writes wait for their copy from here
 *   finalize: hold the users ◄── pending (with auto-finalize off) ◄── nothing dirty
 *      │ copy what writes in flight left dirty, flush the target
 *      ├─ complete ──► the users of the source go over to the target
 *      └─ cancel ────► they stay; the target is what the source was while they were held
 *
 * A write makes its range dirty when it is done, so that no copy can miss it. With copy mode write-blocking it is
 * copied instead before it is acknowledged, so that nothing becomes dirty anew. A mirror in the background that has
 * not caught up after copying everything three times over does the same until it has: it comes to its end under any load.
 */

import type { Clock } from '../base/clock.ts';
import { deferred, withDeadline } from '../base/deadline.ts';
import { ETIMEDOUT } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import type { BlockGraph } from '../block/block-graph.ts';
import type { BlockNode } from '../block/block-node.ts';
import type { BlockRequest } from '../block/block-request.ts';
import { DirtyBitmap } from '../block/dirty-bitmap.ts';
import { drainRoots, rootsAbove, whileDrained } from '../block/drain.ts';
import { strerror } from '../os/libc.ts';
import { copyFailed, type FailurePolicies } from './copy-failure.ts';
import { CopyRoots } from './copy-roots.ts';
import type { ServiceEnd } from './copy-services.ts';
import { DirtyCopier } from './dirty-copier.ts';
import type { OnError } from './error-policy.ts';
import { addInitialRanges, type SyncMode } from './initial-ranges.ts';
import type { JobControl, JobWork } from './job-work.ts';
import type { RangeCopy } from './range-copy.ts';
import { commonAlignment } from './side.ts';
import { WaitingWrite, type WaitingWriteOwner } from './waiting-write.ts';
import { WriteWatch, type WriteWatcher } from './write-watch.ts';

export type CopyMode = 'background' | 'write-blocking';

export type MirrorOptions = {
  readonly graph: BlockGraph;
  readonly clock: Clock;
  /** For people: `job 'm'`. */
  readonly holder: string;
  readonly source: BlockNode;
  readonly target: BlockNode;
  /** Whose users go over to the target in the end: the source, or a node below it. */
  readonly replaces: BlockNode;
  /** Throws why the users cannot go over to the target now. */
  readonly checkReplacement: () => void;
  readonly sync: SyncMode;
  readonly copyMode: CopyMode;
  readonly granularityBytes: number;
  /** Bytes of all copies in flight. */
  readonly bufferBytes: number;
  readonly onSourceError: OnError;
  readonly onTargetError: OnError;
};

/** How often all of it is copied before writes have to wait for their copies. */
const PATIENCE = 3;
const MIN_PATIENCE_BYTES = 16 * 1024 * 1024;
const MAX_REQUESTS = 16;
/** Users may be held for so long until their requests in flight have returned. */
const DRAIN_DEADLINE_MS = 5000;
/** And so long until what they wrote last is durable on the target. */
const HELD_DEADLINE_MS = 10_000;
/** Before they are held, what was written so far has this long: a disk may have to write all that it kept in memory. */
const REST_DEADLINE_MS = 60_000;
/** While users are held nothing is tried again. */
const REPORT_ALL: FailurePolicies = { onSourceError: 'report', onTargetError: 'report' };
/** After a target was too slow for a write to wait for, writes do not wait for so long. */
const SLOW_TARGET_MS = 1000;

export class MirrorWork implements JobWork, WriteWatcher, WaitingWriteOwner {
  readonly #options: MirrorOptions;
  readonly #roots: CopyRoots;
  readonly #todo: DirtyBitmap;
  readonly #alignment: number;
  readonly #idleWrites: WaitingWrite[] = [];
  #watch: WriteWatch | null = null;
  #copier: DirtyCopier | null = null;
  #control: JobControl | null = null;
  #woken = deferred<void>();
  #failure: Error | null = null;
  #isFinalizing = false;
  #isClosed = false;
  /** Writes wait for their copies once so much has been copied. */
  #patienceBytes = Number.POSITIVE_INFINITY;
  #slowUntilMs = 0;

  /** Throws UsageError where the nodes cannot be used so. */
  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#todo = new DirtyBitmap(options.source.lengthBytes, options.granularityBytes);
    this.#roots = new CopyRoots(options.holder, options.source, options.target);
    this.#alignment = commonAlignment(this.#roots.source, this.#roots.target);
    try {
      this.#roots.sides(options.granularityBytes);
    } catch (error) {
      this.#roots.detach();
      throw error;
    }
  }

  async prepare(control: JobControl): Promise<void> {
    const { source, sync, granularityBytes, bufferBytes, target } = this.#options;
    this.#control = control;
    const sides = this.#roots.sides(granularityBytes);
    const requests = Math.floor(bufferBytes / sides.requestBytes);
    this.#copier = new DirtyCopier({
      sides,
      todo: this.#todo,
      requests: Math.min(MAX_REQUESTS, Math.max(1, requests)),
      control,
      services: 'all',
      onSweepError: copy => this.#copyFailed(copy),
    });
    if (source.lengthBytes !== target.lengthBytes) return;
    await whileDrained(source, control.clock, () => {
      this.#watch = new WriteWatch(source, this);
      addInitialRanges(this.#todo, source, sync);
    });
    const bytes = this.#todo.remainingBytes;
    this.#patienceBytes = bytes + Math.max((PATIENCE - 1) * bytes, MIN_PATIENCE_BYTES);
  }

  async run(control: JobControl): Promise<void> {
    const { source, target } = this.#options;
    if (source.lengthBytes !== target.lengthBytes) {
      throw new ColobusError('Source and target image have different sizes');
    }
    const copier = this.#requireCopier();
    for (let isReady = false; ; ) {
      const woken = this.#woken.promise;
      copier.report();
      await control.pausePoint();
      if (this.#failure !== null) throw this.#failure;
      await control.unlessCancelled(copier.sweep({ yields: true }));
      if (control.mustYield || !this.#todo.isEmpty || this.#failure !== null) continue;
      if (!isReady) {
        isReady = true;
        this.#patienceBytes = Number.POSITIVE_INFINITY;
        copier.report();
        control.ready();
      }
      if (control.ending !== null) return;
      await woken;
    }
  }

  async finalize(): Promise<void> {
    const { graph, target, replaces } = this.#options;
    const control = this.#requireControl();
    this.#isFinalizing = true;
    // Most is made durable while the users go on, so that they are not held for long.
    await this.#copyRestInTime(REST_DEADLINE_MS);
    const releases: (() => void)[] = [];
    const users = (): Iterable<BlockBackend> => this.#users();
    try {
      // Somebody who came while the target was flushed may have written by now.
      do {
        releases.push(await drainRoots(users, DRAIN_DEADLINE_MS, control.clock));
        await this.#copyRestInTime(HELD_DEADLINE_MS);
      } while ([...users()].some(user => !user.isHeld || user.inFlight > 0));
      if (this.#failure !== null) throw this.#failure;
      if (control.ending === 'complete') this.#options.checkReplacement();
      this.#copier?.report();
      this.#watch?.end();
      this.#roots.detach();
      if (control.ending === 'complete') graph.replaceDrained(replaces, target);
    } finally {
      for (const release of releases) release();
    }
    await graph.closeUnused(replaces);
  }

  /** Those who write to the source, or use what the target replaces. */
  #users(): ReadonlySet<BlockBackend> {
    const { source, replaces } = this.#options;
    const users = new Set([...rootsAbove(source), ...rootsAbove(replaces)]);
    users.delete(this.#roots.source);
    return users;
  }

  async #copyRest(): Promise<void> {
    await this.#requireCopier().sweep({ yields: false });
    await this.#roots.flushTarget();
  }

  /** Neither users who are held nor who finalizes the job waits for a target that hangs. */
  async #copyRestInTime(deadlineMs: number): Promise<void> {
    const control = this.#requireControl();
    const { name } = this.#options.target;
    const message = `${strerror(ETIMEDOUT)}: the last writes were not on node '${name}' within ${deadlineMs} ms`;
    try {
      await withDeadline(control.unlessCancelled(this.#copyRest()), deadlineMs, control.clock, message);
    } catch (error) {
      // A copy that is still under way is followed by no other.
      this.#copier?.fail(error instanceof Error ? error : new ColobusError(message));
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.end();
    this.#copier?.close();
    await this.#roots.close(this.#options.clock);
  }

  wake(): void {
    this.#copier?.wake();
    this.#woken.resolve();
    this.#woken = deferred();
  }

  // --- writes of the source's users -------------------------------------------------------------------------------

  changed(request: BlockRequest, errno: number): void {
    if (this.#isClosed) {
      request.complete(errno);
    } else if (this.#writesWait) {
      const write = this.#idleWrites.pop() ?? new WaitingWrite(this);
      write.begin(request, errno, this.#alignment);
      this.#requireCopier().copyNow(write);
    } else {
      this.#touched(request.offset, request.length);
      request.complete(errno);
    }
  }

  /** A write that waited for its copy is acknowledged. */
  writeEnded(write: WaitingWrite, end: ServiceEnd, failed: RangeCopy | null): void {
    const { request, errno } = write;
    if (end !== 'copied') this.#touched(request.offset, request.length);
    if (end === 'late') this.#targetIsSlow();
    if (failed !== null) {
      const error = this.#copyFailed(failed);
      if (error !== null) this.#fail(error);
    }
    this.#idleWrites.push(write);
    request.complete(errno);
  }

  /** A write is acknowledged only when it is on the target as well. */
  get #writesWait(): boolean {
    const control = this.#requireControl();
    if (control.mustYield && !this.#isFinalizing) return false;
    if (this.#slowUntilMs > 0 && control.clock.nowMs() < this.#slowUntilMs) return false;
    const { copyMode } = this.#options;
    return (
      copyMode === 'write-blocking' || control.ending !== null || this.#requireCopier().doneBytes > this.#patienceBytes
    );
  }

  #touched(offset: number, length: number): void {
    if (this.#isClosed) return;
    this.#todo.add(offset, length);
    this.wake();
  }

  // --- failures ---------------------------------------------------------------------------------------------------

  /** What to do about a copy that failed: the error that ends the job, or null to go on. */
  #copyFailed(copy: RangeCopy): Error | null {
    const policies = this.#isFinalizing ? REPORT_ALL : this.#options;
    return copyFailed(copy, policies, this.#requireControl(), this.#copier);
  }

  #targetIsSlow(): void {
    const control = this.#requireControl();
    this.#slowUntilMs = control.clock.nowMs() + SLOW_TARGET_MS;
    const policy = this.#isFinalizing ? 'report' : this.#options.onTargetError;
    if (control.failed('write', ETIMEDOUT, policy) !== 'report') return;
    this.#fail(new ColobusError(`${strerror(ETIMEDOUT)}: a write waited too long for ${this.#options.target.name}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#copier?.fail(error);
    this.wake();
  }

  #requireCopier(): DirtyCopier {
    if (this.#copier === null) throw new ColobusError('The mirror is not prepared');
    return this.#copier;
  }

  #requireControl(): JobControl {
    if (this.#control === null) throw new ColobusError('The mirror is not prepared');
    return this.#control;
  }
}
