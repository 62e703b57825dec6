/**
 * NbdClient: an export of an NBD server, with promises.
 *
 *     await using client = await NbdClient.connect('nbd://localhost/disk');
 *     await client.write(0, Buffer.from('hello'), { fua: true });
 *     const bytes = await client.read(0, 5);
 *
 * Calls may be made without waiting for earlier ones; they go down the connection together. Calls in flight at once
 * have no order. A flush makes durable every write that had resolved before it was called. README.md tells more.
 */

import { type Clock, systemClock } from '../../base/clock.ts';
import { type Deferred, deferred } from '../../base/deadline.ts';
import { ESHUTDOWN } from '../../base/errno.ts';
import { type ColobusError, UsageError } from '../../base/errors.ts';
import { type BlockRequest, type RequestKind, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { EXTENT_HOLE, EXTENT_ZERO, ExtentList } from '../../block/extent-list.ts';
import type { ListedExport } from '../protocol/list-reply.ts';
import { Call, type CallHost, type CallOptions } from './call.ts';
import type { ExportInfo } from './export-info.ts';
import { type ExportReport, reportExport, reportServer } from './export-report.ts';
import { type MetadataExtent, MetadataExtents } from './metadata-extents.ts';
import { clientOptions, type NbdClientOptions, type NbdClientSettings, openTarget } from './open-target.ts';
import { RequestAdapter } from './request-adapter.ts';
import type { RequestTarget } from './request-target.ts';
import type { SessionFeatures } from './session-features.ts';

/** A range of an export that is all alike. */
export type Extent = {
  readonly offset: number;
  readonly length: number;
  /** Nothing is allocated there. */
  readonly hole: boolean;
  /** It reads as zeroes. */
  readonly zero: boolean;
};

export type WriteOptions = CallOptions & {
  /** Resolve only when the data is durable. */
  readonly fua?: boolean;
};

export type WriteZeroesOptions = WriteOptions & {
  /** The server may leave a hole; true unless given. */
  readonly mayUnmap?: boolean;
  /** Fail with ENOTSUP where it would be no faster than writing. */
  readonly fastOnly?: boolean;
};

export class NbdClient implements AsyncDisposable {
  readonly #target: RequestTarget;
  readonly #adapter: RequestAdapter;
  readonly #clock: Clock;
  /** Requests of calls that have not completed. */
  #inFlight = 0;
  /** Calls of several requests that have not ended. */
  #longCalls = 0;
  #isClosing = false;
  readonly #idle: Deferred<void> = deferred();
  readonly #host: CallHost = {
    reasonOfLoss: () => this.#target.failure,
    callEnded: () => {
      this.#inFlight -= 1;
      this.#noteIdle();
    },
  };

  private constructor(target: RequestTarget, clock: Clock) {
    this.#target = target;
    this.#adapter = new RequestAdapter(target);
    this.#clock = clock;
  }

  /**
   * Connects to the export that an NBD URI or an address names. Throws a ColobusError where the server cannot be
   * reached, does not give the export or has no TLS where that is wanted; a UsageError where the URI is wrong.
   */
  static async connect(target: string | NbdClientOptions, settings: NbdClientSettings = {}): Promise<NbdClient> {
    const options = clientOptions(target, settings);
    return new NbdClient(await openTarget(options), options.clock ?? systemClock);
  }

  /** The exports a server tells of. Throws a ColobusError where it tells nobody. */
  static async list(
    target: string | NbdClientOptions,
    settings: NbdClientSettings = {},
  ): Promise<readonly ListedExport[]> {
    return (await reportServer(clientOptions(target, settings))).exports;
  }

  /** What a server says about an export, asked for without opening it where the server can tell. */
  static async info(target: string | NbdClientOptions, settings: NbdClientSettings = {}): Promise<ExportReport> {
    return await reportExport(clientOptions(target, settings));
  }

  /** Size of the export in bytes. */
  get sizeBytes(): number {
    return this.#target.export.sizeBytes;
  }

  /** What the server said about the export. */
  get info(): ExportInfo {
    return this.#target.export;
  }

  /** What client and server agreed upon. */
  get features(): SessionFeatures {
    return this.#target.features;
  }

  /** How many connections there are: what was asked for, or fewer where the server does not allow as many. */
  get connections(): number {
    return this.#target.connections;
  }

  /** Why calls fail now: the connection was lost, or the server broke a rule (ProtocolError). Null while all is well. */
  get failure(): ColobusError | null {
    return this.#target.failure;
  }

  /** `length` bytes from `offset` on, in a buffer of their own. */
  async read(offset: number, length: number, options: CallOptions = {}): Promise<Buffer> {
    const request = this.#request('read', offset, length);
    request.buffer = Buffer.allocUnsafeSlow(length);
    const { buffer } = request;
    await this.#perform(request, options);
    return buffer;
  }

  /** Writes `data` at `offset`. The memory is the client's until the promise settles. */
  async write(offset: number, data: Uint8Array, options: WriteOptions = {}): Promise<void> {
    const request = this.#request('write', offset, data.byteLength);
    request.buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    // A call that is given up gives the memory back while the request is still on its way.
    if (options.signal !== undefined || options.timeoutMs !== undefined) request.buffer = Buffer.from(request.buffer);
    request.fua = options.fua ?? false;
    await this.#perform(request, options);
  }

  /** Makes durable what was written. */
  async flush(options: CallOptions = {}): Promise<void> {
    await this.#perform(this.#request('flush', 0, 0), options);
  }

  /** Tells the server that the content of a range is of no more use; what it reads as afterwards is open. */
  async trim(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    await this.#perform(this.#request('discard', offset, length), options);
  }

  /** Makes a range read as zeroes. */
  async writeZeroes(offset: number, length: number, options: WriteZeroesOptions = {}): Promise<void> {
    const request = this.#request('write-zeroes', offset, length);
    request.fua = options.fua ?? false;
    request.mayUnmap = options.mayUnmap ?? true;
    request.fastOnly = options.fastOnly ?? false;
    await this.#perform(request, options);
  }

  /** Asks the server to have a range ready for reading. */
  async cache(offset: number, length: number, options: CallOptions = {}): Promise<void> {
    await this.#perform(this.#request('cache', offset, length), options);
  }

  /**
   * The extents of a range in the context `base:allocation`, in order and without gaps; all data where the server does
   * not know better.
   */
  blockStatus(offset: number, length: number, options: CallOptions = {}): Promise<Extent[]> {
    return this.#atLength(() => this.#blockStatus(offset, length, options));
  }

  async #blockStatus(offset: number, length: number, options: CallOptions): Promise<Extent[]> {
    const answer: Extent[] = [];
    const remaining = this.#budget(options);
    for (let at = offset; at < offset + length; ) {
      const request = this.#request('block-status', at, offset + length - at);
      const extents = new ExtentList();
      request.extents = extents;
      await this.#perform(request, remaining(), at > offset);
      for (const [index, bytes] of extents.lengths.entries()) {
        const flags = extents.flags[index] as number;
        answer.push({
          offset: at,
          length: bytes,
          hole: (flags & EXTENT_HOLE) !== 0,
          zero: (flags & EXTENT_ZERO) !== 0,
        });
        at += bytes;
      }
    }
    return answer;
  }

  /**
   * The extents of a range in every metadata context that the server has of the `contexts` asked for at `connect`, by
   * the name of the context, each in order and without gaps.
   */
  metadata(
    offset: number,
    length: number,
    options: CallOptions = {},
  ): Promise<ReadonlyMap<string, readonly MetadataExtent[]>> {
    return this.#atLength(() => this.#metadata(offset, length, options));
  }

  async #metadata(
    offset: number,
    length: number,
    options: CallOptions,
  ): Promise<ReadonlyMap<string, readonly MetadataExtent[]>> {
    const names = [...this.features.contexts.values()];
    const found = new MetadataExtents(names);
    const remaining = this.#budget(options);
    const end = offset + length;
    for (let at = offset; names.length > 0 && at < end; at = found.end) {
      const request = this.#request('block-status', at, end - at);
      request.context = found;
      found.continueAt(at);
      await this.#perform(request, remaining(), at > offset);
    }
    return found.byContext;
  }

  /**
   * Waits for calls in flight, though not for a connection that is lost, and says goodbye to the server. Idempotent;
   * later calls fail with ESHUTDOWN.
   */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#target.stopReconnecting();
    this.#noteIdle();
    if (this.#target.failure === null) await this.#idle.promise;
    await this.#target.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #request(kind: RequestKind, offset: number, length: number): BlockRequest {
    const { sizeBytes, minBlockBytes } = this.#target.export;
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      throw new UsageError(
        `Bytes ${offset} + ${length} are not a range; offset and length are whole numbers from 0 on`,
      );
    }
    if (length > sizeBytes - offset && kind !== 'flush') {
      throw new UsageError(`Bytes ${offset} + ${length} reach past the end of the export, which has ${sizeBytes}`);
    }
    if (offset % minBlockBytes !== 0 || length % minBlockBytes !== 0) {
      throw new UsageError(
        `Bytes ${offset} + ${length} are not aligned; the server wants multiples of ${minBlockBytes}`,
      );
    }
    const what = kind === 'flush' ? kind : `${kind} of bytes ${offset} + ${length}`;
    const request = takeRequest(kind, new Call(what, this.#host));
    request.offset = offset;
    request.length = length;
    return request;
  }

  /** Carries out the request of a call; `isContinued` where it is not the first of its call. */
  #perform(request: BlockRequest, options: CallOptions, isContinued = false): Promise<void> {
    const { signal } = options;
    if (signal?.aborted === true) {
      releaseRequest(request);
      return Promise.reject(signal.reason);
    }
    return new Promise((resolve, reject) => {
      (request.owner as Call).start(resolve, reject, options, this.#clock);
      this.#inFlight += 1;
      request.markSubmitted();
      if (this.#isClosing && !isContinued) request.complete(ESHUTDOWN);
      else if (request.length === 0 && request.kind !== 'flush') request.complete(0);
      else this.#adapter.submit(request);
    });
  }

  /** Runs a call of several requests, for which `close` waits as a whole. */
  async #atLength<T>(call: () => Promise<T>): Promise<T> {
    this.#longCalls += 1;
    try {
      return await call();
    } finally {
      this.#longCalls -= 1;
      this.#noteIdle();
    }
  }

  #noteIdle(): void {
    if (this.#isClosing && this.#inFlight === 0 && this.#longCalls === 0) this.#idle.resolve();
  }

  /** What is left of the options of a call that takes several requests: one deadline for all of them. */
  #budget({ signal, timeoutMs }: CallOptions): () => CallOptions {
    const endMs = this.#clock.nowMs() + (timeoutMs ?? 0);
    const common = signal === undefined ? {} : { signal };
    return () =>
      timeoutMs === undefined ? common : { ...common, timeoutMs: Math.max(0, endMs - this.#clock.nowMs()) };
  }
}
