/**
 * DirtyCopier: copies what a bitmap says from a source to a target, while others write to the source.
 *
 * `sweep` copies all that is dirty, with several copies in flight. `copyNow` copies a range on behalf of somebody who
 * waits for it, such as a write of the guest. No two copies under way overlap, so that the last to read is the last to
 * write. Copies for waiters go on while the source is drained; a sweep begins none then.
 */

import { assert } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { DirtyBitmap } from '../block/dirty-bitmap.ts';
import { CopyServices, type CopyWaiter } from './copy-services.ts';
import type { JobControl } from './job-work.ts';
import { Pipeline, type Start } from './pipeline.ts';
import { type CopySides, RangeCopy, type RangeCopyOwner } from './range-copy.ts';

/** A sweep takes this much at once where it does not know yet whether it is zeroes. */
const PROBE_BYTES = 64 * 1024 * 1024;

export type DirtyCopierOptions = {
  readonly sides: CopySides;
  readonly todo: DirtyBitmap;
  /** Copies of a sweep in flight. */
  readonly requests: number;
  readonly control: JobControl;
  /** `dirty`: a service copies what the bitmap has of its range, and cleans it. `all`: everything, and leaves it. */
  readonly services: 'dirty' | 'all';
  /** A copy of a sweep failed; its range is dirty again. Returns the error that ends the sweep, or null to go on. */
  readonly onSweepError: (copy: RangeCopy) => Error | null;
};

export class DirtyCopier implements RangeCopyOwner {
  readonly #options: DirtyCopierOptions;
  readonly #todo: DirtyBitmap;
  readonly #idle: RangeCopy[] = [];
  readonly #active = new Set<RangeCopy>();
  readonly #sweeping = new Set<RangeCopy>();
  readonly #services: CopyServices;
  #pipeline: Pipeline | null = null;
  #cursor = 0;
  /** Where the source has told that it has data, as far as that is not copied. It may have become zeroes since. */
  readonly #knownData: DirtyBitmap;
  #doneBytes = 0;
  #pacer: Timer | null = null;
  #retryAtMs = 0;
  readonly #awaited = new Set<BlockBackend>();

  constructor(options: DirtyCopierOptions) {
    assert(options.sides.requestBytes % options.todo.granularityBytes === 0, 'Requests are whole granules');
    this.#options = options;
    this.#todo = options.todo;
    this.#knownData = new DirtyBitmap(options.todo.lengthBytes, options.todo.granularityBytes);
    this.#services = new CopyServices(options.control.clock, waiter => this.#serve(waiter));
  }

  /** Bytes that are under way or still to be copied. */
  get remainingBytes(): number {
    let active = 0;
    for (const copy of this.#active) if (this.#isOfBitmap(copy)) active += copy.length;
    return this.#todo.remainingBytes + active;
  }

  /** Bytes of what was dirty that have been copied. */
  get doneBytes(): number {
    return this.#doneBytes;
  }

  /**
   * Copies until nothing is dirty or, where it `yields`, until the job must yield; resolves when no copy of the sweep
   * is under way any more. Throws what `onSweepError` returns.
   */
  async sweep(options: { readonly yields: boolean }): Promise<void> {
    const pipeline = new Pipeline(this.#options.requests, () => this.#startNext(options.yields));
    this.#pipeline = pipeline;
    try {
      await pipeline.run();
    } finally {
      this.#pipeline = null;
      this.#pacer?.cancel();
      this.#pacer = null;
    }
  }

  /** The bitmap, the job or its speed has changed. */
  wake(): void {
    this.#pipeline?.wake();
  }

  /** Ends a sweep that is under way with `error`. */
  fail(error: Error): void {
    this.#pipeline?.fail(error);
  }

  /** What failed is tried again when `delayMs` have passed. */
  retryAfter(delayMs: number): void {
    this.#retryAtMs = this.#options.control.clock.nowMs() + delayMs;
  }

  /** Has `waiter` told when its range is copied, perhaps before this returns. */
  copyNow(waiter: CopyWaiter): void {
    this.#services.add(waiter);
  }

  /** Nothing of the range is dirty or on its way. */
  isCopied(offset: number, length: number): boolean {
    return this.#todo.nextDirty(offset) >= offset + length && this.#overlapping(offset, length) === null;
  }

  /** Tells every waiter that it need not wait any more. */
  releaseWaiters(): void {
    this.#services.releaseAll();
  }

  /** Tells the waiters so, too; copies that are still under way keep their target, and the source while they read it. */
  close(): void {
    this.releaseWaiters();
    for (const copy of this.#active) copy.leaveSource();
  }

  rangeShortened(copy: RangeCopy, restBytes: number): void {
    const end = copy.offset + copy.length;
    if (copy.dataEnd > end) this.#knownData.add(end, copy.dataEnd - end);
    if (this.#isOfBitmap(copy)) this.#todo.add(end, restBytes);
  }

  rangeDone(copy: RangeCopy): void {
    this.#active.delete(copy);
    if (this.#isOfBitmap(copy)) {
      if (copy.error === null) this.#doneBytes += copy.length;
      else this.#todo.add(copy.offset, copy.length);
    }
    if (this.#sweeping.delete(copy)) this.#sweepDone(copy);
    else this.#services.done(copy);
    this.#idle.push(copy);
    this.report();
    this.#services.advance();
    this.wake();
  }

  /** Tells the job how far the copy is. */
  report(): void {
    this.#options.control.progress(this.#doneBytes, this.#doneBytes + this.remainingBytes);
  }

  /** The copy takes from the bitmap, rather than leaving it as it is. */
  #isOfBitmap(copy: RangeCopy): boolean {
    return this.#options.services === 'dirty' || this.#sweeping.has(copy);
  }

  // --- sweep ------------------------------------------------------------------------------------------------------

  #startNext(yields: boolean): Start {
    const { control, sides } = this.#options;
    if (this.#todo.isEmpty || (yields && control.mustYield)) return 'end';
    // What is swept without regard for the job is swept while guests are held.
    const delayMs = yields ? Math.max(control.limit.delayMs, this.#retryAtMs - control.clock.nowMs()) : 0;
    if (delayMs > 0) return this.#later(delayMs);
    if (sides.source.isHeld || sides.target.isHeld) {
      this.#afterRelease(sides.source.isHeld ? sides.source : sides.target);
      return 'later';
    }
    const offset = this.#nextFree();
    if (offset === null) return 'later';
    const isData = this.#knownData.has(offset);
    const most = control.limit.bytesPerSecond > 0 || isData ? sides.requestBytes : PROBE_BYTES;
    const length = this.#claim(offset, Math.min(this.#todo.lengthBytes, offset + most));
    this.#cursor = offset + length;
    if (isData) this.#knownData.remove(offset, length);
    control.limit.pass(length);
    const copy = this.#take();
    this.#sweeping.add(copy);
    copy.start(offset, length, isData || length < sides.requestBytes ? 'data' : 'unknown');
    return 'started';
  }

  #sweepDone(copy: RangeCopy): void {
    const { control } = this.#options;
    // What was no data takes no time.
    if (control.limit.bytesPerSecond > 0) control.limit.pass(copy.dataBytes - copy.length);
    const error = copy.error === null ? null : this.#options.onSweepError(copy);
    if (error !== null) this.#pipeline?.fail(error);
    this.#pipeline?.done();
  }

  #later(delayMs: number): Start {
    this.#pacer?.cancel();
    this.#pacer = this.#options.control.clock.after(delayMs, () => this.wake());
    return 'later';
  }

  /** Looks again for what to do when `root` is no longer held. */
  #afterRelease(root: BlockBackend): void {
    if (this.#awaited.has(root)) return;
    this.#awaited.add(root);
    root.onRelease(() => {
      this.#awaited.delete(root);
      this.#services.advance();
      this.wake();
    });
  }

  /** The next dirty granule from the cursor on, or else from the start, that no copy under way has; null if all have. */
  #nextFree(): number | null {
    return this.#freeWithin(this.#cursor, this.#todo.lengthBytes) ?? this.#freeWithin(0, this.#cursor);
  }

  #freeWithin(from: number, to: number): number | null {
    for (let at = this.#todo.nextDirty(from); at < to; ) {
      const other = this.#overlapping(at, Math.min(this.#todo.granularityBytes, this.#todo.lengthBytes - at));
      if (other === null) return at;
      at = this.#todo.nextDirty(Math.max(at + this.#todo.granularityBytes, other.offset + other.length));
    }
    return null;
  }

  // --- services ---------------------------------------------------------------------------------------------------

  /** Starts what can be copied for `waiter`: returns the copy, `wait` for others that are under way, or `done`. */
  #serve(waiter: CopyWaiter): RangeCopy | 'wait' | 'done' {
    const end = waiter.offset + waiter.length;
    if (this.#overlapping(waiter.offset, waiter.length) !== null) return 'wait';
    const { requestBytes, source, target } = this.#options.sides;
    // A drain of the source waits for whom this serves; a drain of the target alone does not, and is respected.
    if (target.isHeld && !source.isHeld) {
      this.#afterRelease(target);
      return 'wait';
    }
    if (this.#options.services === 'all') {
      if (waiter.length === 0) return 'done';
      return this.#startService(waiter.offset, Math.min(waiter.length, requestBytes));
    }
    const offset = this.#todo.nextDirty(waiter.offset);
    if (offset >= end) return 'done';
    const { granularityBytes, lengthBytes } = this.#todo;
    const last = Math.min(Math.ceil(end / granularityBytes) * granularityBytes, lengthBytes);
    return this.#startService(offset, this.#claim(offset, Math.min(last, offset + PROBE_BYTES)));
  }

  #startService(offset: number, length: number): RangeCopy {
    const copy = this.#take();
    copy.offset = offset;
    copy.length = length;
    copy.content = length > this.#options.sides.requestBytes ? 'unknown' : 'data';
    return copy;
  }

  // --- both -------------------------------------------------------------------------------------------------------

  #take(): RangeCopy {
    const copy = this.#idle.pop() ?? new RangeCopy(this.#options.sides, this);
    this.#active.add(copy);
    return copy;
  }

  /** How much of the dirty granules from `offset` on, up to `end`, one copy can have; they are clean from now on. */
  #claim(offset: number, end: number): number {
    let to = Math.min(this.#todo.dirtyEnd(offset), end);
    for (const copy of this.#active) if (copy.offset > offset && copy.offset < to) to = copy.offset;
    // A service of all of a range may begin within a granule, which is then left for later.
    to -= to < this.#todo.lengthBytes ? to % this.#todo.granularityBytes : 0;
    this.#todo.remove(offset, to - offset);
    return to - offset;
  }

  #overlapping(offset: number, length: number): RangeCopy | null {
    for (const copy of this.#active) {
      if (copy.offset < offset + length && offset < copy.offset + copy.length) return copy;
    }
    return null;
  }
}
