/**
 * BufferCommit: merges the buffer into the disk while the standby keeps running (live commit).
 *
 * From its start on the standby writes to the disk itself, so that the entries only grow fewer: a write first commits
 * a chunk it covers in part, and makes the entries of the chunks it covers whole obsolete. Copier and standby exclude
 * each other per chunk. What is committed is durable when `run` returns.
 */

import { EIO, errnoName } from '../../base/errno.ts';
import { ColobusError } from '../../base/errors.ts';
import type { BlockBackend } from '../../block/block-backend.ts';
import {
  type BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from '../../block/block-request.ts';
import type { ColoBuffer } from './colo-buffer.ts';
import { isSpilled, isZero, NO_ENTRY, slotOf } from './entry.ts';
import type { RangeLocks } from './range-locks.ts';

/** Most chunks that one write of the copier takes. */
const MAX_RUN_BYTES = 1024 * 1024;

/** What a commit has of its job: when to wait, whom to tell, and the root that it makes requests for. */
export type CommitControl = {
  /** On the buffer's node; a drain of that, or of what is below, waits for a piece of the commit. */
  readonly root: BlockBackend;
  pausePoint(): Promise<void>;
  progress(done: number, total: number): void;
};

export class BufferCommit {
  readonly #buffer: ColoBuffer;
  readonly #locks: RangeLocks;

  constructor(buffer: ColoBuffer, locks: RangeLocks) {
    this.#buffer = buffer;
    this.#locks = locks;
  }

  /** Commits every entry and flushes the disk; throws a ColobusError where that fails, and can be run again. */
  async run(control: CommitControl): Promise<void> {
    const { granularity, running } = this.#buffer;
    const total = running.chunks * granularity;
    for (const [start, end] of this.#sortedRuns()) {
      await control.pausePoint();
      const offset = start * granularity;
      await inWork(control.root, () =>
        this.#locks.holding(offset, (end - start) * granularity, () => this.#commitChunks(start, end)),
      );
      control.progress(total - Math.min(total, running.chunks * granularity), total);
    }
    await inWork(control.root, () => this.#submit('flush', 0, 0));
    control.progress(total, total);
  }

  /** A standby's write, write-zeroes or discard while the commit is not done: goes to the disk. */
  async writeThrough(request: BlockRequest): Promise<void> {
    const { granularity, running, backing } = this.#buffer;
    const end = request.offset + request.length;
    const first = Math.floor(request.offset / granularity);
    const last = Math.ceil(end / granularity);
    const firstWhole = Math.ceil(request.offset / granularity);
    const lastWhole = end === backing.node.lengthBytes ? last : Math.floor(end / granularity);
    await this.#locks.holding(first * granularity, (last - first) * granularity, async () => {
      let errno = 0;
      try {
        if (firstWhole > first) await this.#commitChunks(first, first + 1);
        if (lastWhole < last) await this.#commitChunks(last - 1, last);
        await this.#submit(request.kind, request.offset, request.length, request);
        if (firstWhole < lastWhole) running.remove(firstWhole, lastWhole);
      } catch (error) {
        errno = error instanceof ColobusError ? error.errno : EIO;
      }
      request.complete(errno);
    });
  }

  /** Runs of chunks with entries in disk order, none longer than the copier takes at once. */
  #sortedRuns(): readonly (readonly [number, number])[] {
    const most = Math.max(1, Math.floor(MAX_RUN_BYTES / this.#buffer.granularity));
    const singles: number[] = [];
    const runs: [number, number][] = [];
    this.#buffer.running.forEach((start, end) => {
      if (end - start === 1) singles.push(start);
      else runs.push([start, end]);
    });
    for (const chunk of Float64Array.from(singles).sort()) {
      const run = runs.at(-1);
      if (run !== undefined && run[1] === chunk && chunk - run[0] < most) run[1] = chunk + 1;
      else runs.push([chunk, chunk + 1]);
    }
    return runs;
  }

  /** Writes the entries of chunks [start, end) to the disk and takes them out of the buffer. The range is locked. */
  async #commitChunks(start: number, end: number): Promise<void> {
    const { running, granularity } = this.#buffer;
    for (let chunk = start; chunk < end; ) {
      const entry = running.find(chunk);
      let runEnd = chunk + 1;
      const isSameKind = (other: number): boolean =>
        other !== NO_ENTRY && entry !== NO_ENTRY && isZero(other) === isZero(entry);
      while (runEnd < end && isSameKind(running.find(runEnd))) runEnd++;
      if (entry !== NO_ENTRY) {
        const offset = chunk * granularity;
        const length = (runEnd - 1 - chunk) * granularity + this.#buffer.chunkBytes(runEnd - 1);
        if (isZero(entry)) await this.#submit('write-zeroes', offset, length);
        else await this.#submitData(chunk, runEnd, offset, length);
        running.remove(chunk, runEnd);
      }
      chunk = runEnd;
    }
  }

  async #submitData(start: number, end: number, offset: number, length: number): Promise<void> {
    const { granularity, running } = this.#buffer;
    const data = Buffer.allocUnsafe(length);
    for (let chunk = start; chunk < end; chunk++) {
      const entry = running.find(chunk);
      const at = (chunk - start) * granularity;
      if (isSpilled(entry)) await this.#readSpilled(slotOf(entry), data, at, this.#buffer.chunkBytes(chunk));
      else this.#buffer.copyOut(entry, 0, data, at, this.#buffer.chunkBytes(chunk));
    }
    const source = takeRequest('write', { requestDone: () => {} });
    source.buffer = data;
    try {
      await this.#submit('write', offset, length, source);
    } finally {
      releaseRequest(source);
    }
  }

  #readSpilled(slot: number, target: Buffer, at: number, length: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#buffer.spill?.read(slot, 0, target, at, length, errno => {
        if (errno === 0) resolve();
        else reject(new ColobusError(`The spill file cannot be read: ${errnoName(errno)}`, { errno }));
      });
    });
  }

  /** One request to the disk; memory and flags are those of `like`. */
  #submit(kind: RequestKind, offset: number, length: number, like: BlockRequest | null = null): Promise<void> {
    const { backing } = this.#buffer;
    return new Promise((resolve, reject) => {
      const owner: RequestOwner = {
        requestDone: done => {
          const { errno } = done;
          releaseRequest(done);
          const what = `${kind} of ${length} bytes at ${offset} on node '${backing.node.name}'`;
          if (errno === 0) resolve();
          else
            reject(new ColobusError(`The buffer cannot be committed: ${what} failed: ${errnoName(errno)}`, { errno }));
        },
      };
      const request = takeRequest(kind, owner);
      request.offset = offset;
      request.length = length;
      request.mayUnmap = like?.mayUnmap ?? true;
      request.fua = like?.fua ?? false;
      request.fastOnly = like?.fastOnly ?? false;
      if (like !== null) {
        request.buffer = like.buffer;
        request.at = like.at;
        request.slab = like.slab;
      }
      backing.submit(request);
    });
  }
}

/** Does `act` as one piece of work of `root`, once that is not held. */
async function inWork(root: BlockBackend, act: () => Promise<void>): Promise<void> {
  while (root.isHeld) await new Promise<void>(resolve => root.onRelease(resolve));
  root.beginWork();
  try {
    await act();
  } finally {
    root.endWork();
  }
}
