/**
 * BackupWork: copies a node as it is when the job starts, while it is written to.
 *
 * Before a write changes what has not been copied yet, it waits until that is copied. Nothing is kept in memory but
 * what is on its way. A write never fails for the sake of a backup: where what it would overwrite cannot be copied, or
 * not in time, the write goes on, and the backup ends with the error. (QEMU 7.2 fails the write.)
 */

import type { Clock } from '../base/clock.ts';
import { deferred } from '../base/deadline.ts';
import { ETIMEDOUT } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import type { BeforeWriteNotifier } from '../block/before-write-notifier.ts';
import type { BlockNode } from '../block/block-node.ts';
import type { BlockRequest } from '../block/block-request.ts';
import { DirtyBitmap } from '../block/dirty-bitmap.ts';
import { whileDrained } from '../block/drain.ts';
import { strerror } from '../os/libc.ts';
import { copyFailed } from './copy-failure.ts';
import { CopyRoots, copyError } from './copy-roots.ts';
import type { ServiceEnd } from './copy-services.ts';
import { DirtyCopier } from './dirty-copier.ts';
import type { OnError } from './error-policy.ts';
import { addInitialRanges, type SyncMode } from './initial-ranges.ts';
import type { JobControl, JobWork } from './job-work.ts';
import type { RangeCopy } from './range-copy.ts';
import { WaitingWrite, type WaitingWriteOwner } from './waiting-write.ts';

export type BackupOptions = {
  readonly clock: Clock;
  /** For people: `job 'b'`. */
  readonly holder: string;
  readonly source: BlockNode;
  /** Of the same size. */
  readonly target: BlockNode;
  /** With `none` only what is about to be overwritten is copied, until the job is cancelled. */
  readonly sync: SyncMode;
  readonly onSourceError: OnError;
  readonly onTargetError: OnError;
};

const CLUSTER_BYTES = 64 * 1024;
const REQUESTS = 8;

export class BackupWork implements JobWork, BeforeWriteNotifier, WaitingWriteOwner {
  readonly pausesToPrepare = true;
  readonly #options: BackupOptions;
  readonly #roots: CopyRoots;
  readonly #todo: DirtyBitmap;
  readonly #idleWrites: WaitingWrite[] = [];
  #copier: DirtyCopier | null = null;
  #control: JobControl | null = null;
  #woken = deferred<void>();
  #failure: Error | null = null;

  /** Throws UsageError where the nodes cannot be used so. */
  constructor(options: BackupOptions) {
    this.#options = options;
    this.#todo = new DirtyBitmap(options.source.lengthBytes, CLUSTER_BYTES);
    this.#roots = new CopyRoots(options.holder, options.source, options.target);
    try {
      this.#roots.sides(CLUSTER_BYTES);
    } catch (error) {
      this.#roots.detach();
      throw error;
    }
  }

  async prepare(control: JobControl): Promise<void> {
    const { source, sync } = this.#options;
    this.#control = control;
    this.#copier = new DirtyCopier({
      sides: this.#roots.sides(CLUSTER_BYTES),
      todo: this.#todo,
      requests: REQUESTS,
      control,
      services: 'dirty',
      onSweepError: copy => copyFailed(copy, this.#options, control, this.#copier),
    });
    await whileDrained(source, control.clock, () => {
      addInitialRanges(this.#todo, source, sync === 'none' ? 'full' : sync);
      source.addBeforeWriteNotifier(this);
    });
    this.#copier.report();
  }

  async run(control: JobControl): Promise<void> {
    const copier = this.#requireCopier();
    do {
      const woken = this.#woken.promise;
      await control.pausePoint();
      if (this.#failure !== null) throw this.#failure;
      if (this.#options.sync === 'none') await woken;
      else await control.unlessCancelled(copier.sweep({ yields: true }));
    } while (!this.#todo.isEmpty || control.mustYield || this.#options.sync === 'none');
    // What is on its way for a write is part of the copy, too.
    await control.unlessCancelled(this.#roots.source.idle());
    if (this.#failure !== null) throw this.#failure;
    await control.unlessCancelled(this.#roots.flushTarget());
  }

  async close(): Promise<void> {
    this.#options.source.removeBeforeWriteNotifier(this);
    this.#copier?.close();
    await this.#roots.close(this.#options.clock);
  }

  wake(): void {
    this.#copier?.wake();
    this.#woken.resolve();
    this.#woken = deferred();
  }

  // --- writes of the source's users -------------------------------------------------------------------------------

  beforeWrite(request: BlockRequest): boolean {
    const copier = this.#copier;
    if (copier === null || this.#failure !== null || copier.isCopied(request.offset, request.length)) return true;
    const write = this.#idleWrites.pop() ?? new WaitingWrite(this);
    write.begin(request, 0, 1);
    copier.copyNow(write);
    return false;
  }

  /** A write goes on: what it overwrites is copied, or the backup is given up. */
  writeEnded(write: WaitingWrite, end: ServiceEnd, failed: RangeCopy | null): void {
    const { request } = write;
    if (failed !== null && failed.error !== null) {
      this.#control?.failed(failed.failedOperation, failed.error.errno, 'report');
      this.#giveUp(copyError(failed.error));
    } else if (end === 'late') {
      this.#control?.failed('write', ETIMEDOUT, 'report');
      const { name } = this.#options.target;
      this.#giveUp(new ColobusError(`${strerror(ETIMEDOUT)}: a write waited too long for node '${name}'`));
    }
    this.#idleWrites.push(write);
    this.#options.source.proceed(request);
  }

  #giveUp(error: Error): void {
    this.#failure ??= error;
    this.#copier?.fail(error);
    this.#copier?.releaseWaiters();
    this.#control?.endPause();
    this.wake();
  }

  #requireCopier(): DirtyCopier {
    if (this.#copier === null) throw new ColobusError('The backup is not prepared');
    return this.#copier;
  }
}
