/**
 * ImageCopy: copies one image to another with many requests in flight.
 *
 *   ExtentReader ── run of data ────► Piece: read ──► runs in what was read ─┬─ data ──► write
 *        │                                                                   └─ zeroes ┐
 *        └───────── run of zeroes ──► Piece ───────────────────────────────────────────┴─► write-zeroes, which may
 *                                                                                          leave a hole
 *
 * What the source does not hold as data is not read, and zeroes are not sent; on a target that reads as zeroes already
 * nothing is written for them. Zeroes within data are found by grains of 64 KiB.
 */

import { assert } from '../base/assert.ts';
import { deferred } from '../base/deadline.ts';
import { endOfRun, isZeroGrain } from '../base/zero-runs.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../block/block-request.ts';
import { allocateAligned } from '../os/aligned-memory.ts';
import { ExtentReader } from './extent-reader.ts';
import { Pipeline, type Start } from './pipeline.ts';
import { commonAlignment, sideError } from './side.ts';

/** Zeroes go in pieces of this size, so that none takes a server long that has to write them. */
const ZEROES_BYTES = 64 * 1024 * 1024;

export type ImageCopyOptions = {
  readonly source: BlockBackend;
  /** At least as long as the source; what it has behind the source's length is left alone. */
  readonly target: BlockBackend;
  /** Requests in flight. */
  readonly requests: number;
  /** Bytes of a read or write: a multiple of both sides' alignment that both take. */
  readonly requestBytes: number;
  /** The target reads as zeroes. */
  readonly targetIsZero: boolean;
  /** Told how far the copy is; `done` does not fall. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
};

export type ImageCopyResult = {
  /** Bytes that were written as data. */
  readonly dataBytes: number;
  readonly totalBytes: number;
};

/**
 * Copies all of the source and flushes the target. Throws a SideError where a request of either side fails; the target
 * is then copied in part, and nothing more is written to it.
 */
export async function copyImage(options: ImageCopyOptions): Promise<ImageCopyResult> {
  const copy = new ImageCopy(options);
  await copy.run();
  await flush(options.target);
  return { dataBytes: copy.dataBytes, totalBytes: options.source.node.lengthBytes };
}

class ImageCopy {
  readonly options: ImageCopyOptions;
  readonly pipeline: Pipeline;
  /** Pieces that nothing is done with. */
  readonly idle: Piece[] = [];
  dataBytes = 0;
  #doneBytes = 0;
  readonly #extents: ExtentReader;
  readonly #totalBytes: number;

  constructor(options: ImageCopyOptions) {
    const { source, target, requests } = options;
    const alignment = commonAlignment(source, target);
    this.options = options;
    this.#totalBytes = source.node.lengthBytes;
    assert(target.node.lengthBytes >= this.#totalBytes, 'The source fits into the target');
    assert(options.requestBytes % alignment === 0, 'Requests are aligned');
    this.pipeline = new Pipeline(requests, () => this.#startNext());
    this.#extents = new ExtentReader(source, this.#totalBytes, alignment, () => this.pipeline.wake());
  }

  async run(): Promise<void> {
    await this.pipeline.run();
  }

  /** The bytes of a piece are where they belong. */
  copied(length: number): void {
    this.#doneBytes += length;
    this.options.onProgress?.(this.#doneBytes, this.#totalBytes);
  }

  #startNext(): Start {
    const extents = this.#extents;
    for (let run = extents.next(); run !== null; run = extents.next()) {
      if (run.isZero && this.options.targetIsZero) {
        extents.take(run.length);
        this.copied(run.length);
        continue;
      }
      const length = Math.min(run.length, run.isZero ? ZEROES_BYTES : this.options.requestBytes);
      extents.take(length);
      const piece = this.idle.pop() ?? new Piece(this);
      piece.start(run.offset, length, run.isZero);
      return 'started';
    }
    return extents.isAtEnd ? 'end' : 'later';
  }
}

/** A range on its way from the source to the target; used again for the next one when it is done. */
class Piece implements RequestOwner {
  readonly #copy: ImageCopy;
  /** Memory for what is read, from the first read on. */
  #buffer: Buffer = Buffer.alloc(0);
  #offset = 0;
  #length = 0;
  /** Bytes of the piece that are on the target. */
  #written = 0;

  constructor(copy: ImageCopy) {
    this.#copy = copy;
  }

  start(offset: number, length: number, isZero: boolean): void {
    this.#offset = offset;
    this.#length = length;
    this.#written = 0;
    if (isZero) {
      this.#writeZeroes(length);
      return;
    }
    const { source, requestBytes } = this.#copy.options;
    if (this.#buffer.length === 0) this.#buffer = allocateAligned(requestBytes);
    this.#submit(source, 'read', length);
  }

  requestDone(request: BlockRequest): void {
    const { kind, length, errno } = request;
    const { source, target } = this.#copy.options;
    if (errno !== 0) {
      this.#copy.pipeline.fail(sideError(kind === 'read' ? source : target, request));
      releaseRequest(request);
      this.#end();
      return;
    }
    releaseRequest(request);
    if (kind !== 'read') {
      this.#written += length;
      if (kind === 'write') this.#copy.dataBytes += length;
    }
    this.#writeNext();
  }

  /** Writes the next run of what was read, or ends. */
  #writeNext(): void {
    const { targetIsZero } = this.#copy.options;
    const end = this.#length;
    while (this.#written < end) {
      const at = this.#written;
      const to = endOfRun(this.#buffer, at, end, this.#offset + at);
      if (!isZeroGrain(this.#buffer, at, end, this.#offset + at)) {
        this.#submit(this.#copy.options.target, 'write', to - at);
        return;
      }
      if (!targetIsZero) {
        this.#writeZeroes(to - at);
        return;
      }
      this.#written = to;
    }
    this.#copy.copied(end);
    this.#end();
  }

  #writeZeroes(length: number): void {
    this.#submit(this.#copy.options.target, 'write-zeroes', length);
  }

  #submit(side: BlockBackend, kind: 'read' | 'write' | 'write-zeroes', length: number): void {
    const request = takeRequest(kind, this);
    request.offset = this.#offset + this.#written;
    request.length = length;
    request.mayUnmap = kind === 'write-zeroes';
    if (kind !== 'write-zeroes') {
      request.buffer = this.#buffer;
      request.at = this.#written;
    }
    side.submit(request);
  }

  #end(): void {
    this.#copy.idle.push(this);
    this.#copy.pipeline.done();
  }
}

/** Makes what was written to `side` durable. */
async function flush(side: BlockBackend): Promise<void> {
  const done = deferred<void>();
  const owner: RequestOwner = {
    requestDone(request) {
      if (request.errno === 0) done.resolve();
      else done.reject(sideError(side, request));
      releaseRequest(request);
    },
  };
  side.submit(takeRequest('flush', owner));
  await done.promise;
}
