/**
 * NbdClient: an export of an NBD server, with promises.
 *
 *     await using client = await NbdClient.connect('nbd://localhost/disk');
 *     await client.write(0, Buffer.from('hello'), { fua: true });
 *     const bytes = await client.read(0, 5);
 *
 * Calls may be made without waiting for earlier ones; they go down one connection together. Calls in flight at once
 * have no order. A flush makes durable every write that had resolved before it was called.
 */

import { errnoName } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import {
  type BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from '../../block/block-request.ts';
import { EXTENT_HOLE, EXTENT_ZERO, ExtentList } from '../../block/extent-list.ts';
import type { ListedExport } from '../protocol/list-reply.ts';
import { type NbdAddress, parseNbdUri } from '../uri.ts';
import type { ExportInfo } from './export-info.ts';
import { NbdConnection, type NbdConnectionOptions } from './nbd-connection.ts';
import { withHandshake } from './negotiate.ts';
import { RequestAdapter } from './request-adapter.ts';

export type NbdClientOptions = NbdConnectionOptions;

/** A range of an export that is all alike. */
export type Extent = {
  readonly offset: number;
  readonly length: number;
  /** Nothing is allocated there. */
  readonly hole: boolean;
  /** It reads as zeroes. */
  readonly zero: boolean;
};

export type WriteOptions = {
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
  readonly #connection: NbdConnection;
  readonly #adapter: RequestAdapter;

  private constructor(connection: NbdConnection) {
    this.#connection = connection;
    this.#adapter = new RequestAdapter(connection);
  }

  /**
   * Connects to the export that an NBD URI or `options` name. Throws a ColobusError where the server cannot be reached
   * or does not give the export, a UsageError where the URI is wrong.
   */
  static async connect(target: string | NbdClientOptions): Promise<NbdClient> {
    return new NbdClient(await NbdConnection.open(typeof target === 'string' ? optionsOf(target) : target));
  }

  /** The exports a server tells of. Throws a ColobusError where it tells nobody. */
  static async list(target: string | NbdClientOptions): Promise<readonly ListedExport[]> {
    const options = typeof target === 'string' ? optionsOf(target) : target;
    return await withHandshake(options, async (handshake, wire) => {
      await handshake.greet();
      if (!handshake.takesOptions) throw new ColobusError('The server is too old to list its exports');
      const listed = await handshake.list();
      handshake.abort();
      wire.destroy();
      return listed;
    });
  }

  /** Size of the export in bytes. */
  get sizeBytes(): number {
    return this.#connection.export.sizeBytes;
  }

  /** What the server said about the export. */
  get info(): ExportInfo {
    return this.#connection.export;
  }

  /** `length` bytes from `offset` on, in a buffer of their own. */
  async read(offset: number, length: number): Promise<Buffer> {
    const request = this.#request('read', offset, length);
    request.buffer = Buffer.allocUnsafeSlow(length);
    const { buffer } = request;
    await this.#perform(request);
    return buffer;
  }

  /** Writes `data` at `offset`. The memory is the client's until the promise settles. */
  async write(offset: number, data: Uint8Array, options: WriteOptions = {}): Promise<void> {
    const request = this.#request('write', offset, data.byteLength);
    request.buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    request.fua = options.fua ?? false;
    await this.#perform(request);
  }

  /** Makes durable what was written. */
  async flush(): Promise<void> {
    await this.#perform(this.#request('flush', 0, 0));
  }

  /** Tells the server that the content of a range is of no more use; what it reads as afterwards is open. */
  async trim(offset: number, length: number): Promise<void> {
    await this.#perform(this.#request('discard', offset, length));
  }

  /** Makes a range read as zeroes. */
  async writeZeroes(offset: number, length: number, options: WriteZeroesOptions = {}): Promise<void> {
    const request = this.#request('write-zeroes', offset, length);
    request.fua = options.fua ?? false;
    request.mayUnmap = options.mayUnmap ?? true;
    request.fastOnly = options.fastOnly ?? false;
    await this.#perform(request);
  }

  /** Asks the server to have a range ready for reading. */
  async cache(offset: number, length: number): Promise<void> {
    await this.#perform(this.#request('cache', offset, length));
  }

  /** The extents of a range, in order and without gaps; all data where the server does not know better. */
  async blockStatus(offset: number, length: number): Promise<Extent[]> {
    const answer: Extent[] = [];
    for (let at = offset; at < offset + length; ) {
      const request = this.#request('block-status', at, offset + length - at);
      const extents = new ExtentList();
      request.extents = extents;
      await this.#perform(request);
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

  /** Waits for calls in flight and says goodbye to the server. Idempotent; later calls fail with ESHUTDOWN. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #request(kind: RequestKind, offset: number, length: number): BlockRequest {
    const { sizeBytes, minBlockBytes } = this.#connection.export;
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
    const request = takeRequest(kind, new Settler());
    request.offset = offset;
    request.length = length;
    return request;
  }

  #perform(request: BlockRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      (request.owner as Settler).set(resolve, reject);
      request.markSubmitted();
      if (request.length === 0 && request.kind !== 'flush') request.complete(0);
      else this.#adapter.submit(request);
    });
  }
}

/** Settles the promise of one call. */
class Settler implements RequestOwner {
  #resolve: () => void = () => {};
  #reject: (error: ColobusError) => void = () => {};

  set(resolve: () => void, reject: (error: ColobusError) => void): void {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  requestDone(request: BlockRequest): void {
    const { kind, offset, length, errno } = request;
    releaseRequest(request);
    if (errno === 0) this.#resolve();
    else {
      const range = kind === 'flush' ? '' : ` of bytes ${offset} + ${length}`;
      this.#reject(new ColobusError(`A ${kind}${range} failed: ${errnoName(errno)}`, { errno }));
    }
  }
}

function optionsOf(uri: string): { readonly address: NbdAddress; readonly exportName: string } {
  const { address, exportName, tls } = parseNbdUri(uri);
  if (tls) throw new UsageError(`'${uri}' asks for TLS, which this client does not speak; use nbd or nbd+unix`);
  return { address, exportName };
}
