/** DiskClient: a root of the block graph with promises, for tests. */

import { ColobusError } from '../../src/base/errors.ts';
import { BlockBackend } from '../../src/block/block-backend.ts';
import { type EdgePermissions, WRITE_EXCLUSIVE } from '../../src/block/block-edge.ts';
import type { BlockNode } from '../../src/block/block-node.ts';
import { type BlockRequest, type RequestKind, releaseRequest, takeRequest } from '../../src/block/block-request.ts';
import { ExtentList } from '../../src/block/extent-list.ts';

export type RequestFields = {
  readonly buffer?: Buffer;
  readonly fua?: boolean;
  readonly mayUnmap?: boolean;
  readonly fastOnly?: boolean;
  readonly extents?: ExtentList;
};

export class DiskClient implements Disposable {
  readonly backend: BlockBackend;
  readonly #resolvers = new Map<BlockRequest, (errno: number) => void>();

  constructor(node: BlockNode, permissions: EdgePermissions = WRITE_EXCLUSIVE, name = 'test') {
    this.backend = new BlockBackend(name, node, permissions);
  }

  /** Submits a request; resolves with the errno it completed with. */
  submit(kind: RequestKind, offset: number, length: number, fields: RequestFields = {}): Promise<number> {
    const request = takeRequest(kind, this);
    request.offset = offset;
    request.length = length;
    request.buffer = fields.buffer ?? request.buffer;
    request.fua = fields.fua ?? false;
    request.mayUnmap = fields.mayUnmap ?? false;
    request.fastOnly = fields.fastOnly ?? false;
    request.extents = fields.extents ?? null;
    return new Promise(resolve => {
      this.#resolvers.set(request, resolve);
      this.backend.submit(request);
    });
  }

  requestDone(request: BlockRequest): void {
    const resolve = this.#resolvers.get(request);
    this.#resolvers.delete(request);
    const { errno } = request;
    releaseRequest(request);
    resolve?.(errno);
  }

  /** Rejects with a ColobusError of the errno, as do those below. */
  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.alloc(length, 0xee);
    check('read', await this.submit('read', offset, length, { buffer }));
    return buffer;
  }

  async write(offset: number, buffer: Buffer, fields: RequestFields = {}): Promise<void> {
    check('write', await this.submit('write', offset, buffer.length, { ...fields, buffer }));
  }

  async writeZeroes(offset: number, length: number, fields: RequestFields = {}): Promise<void> {
    check('write-zeroes', await this.submit('write-zeroes', offset, length, fields));
  }

  async discard(offset: number, length: number): Promise<void> {
    check('discard', await this.submit('discard', offset, length));
  }

  async flush(): Promise<void> {
    check('flush', await this.submit('flush', 0, 0));
  }

  async blockStatus(offset: number, length: number): Promise<ExtentList> {
    const extents = new ExtentList();
    check('block-status', await this.submit('block-status', offset, length, { extents }));
    return extents;
  }

  /** Leaves the graph; nothing may be in flight. */
  [Symbol.dispose](): void {
    this.backend.close();
    this.backend.detach();
  }
}

function check(what: string, errno: number): void {
  if (errno !== 0) throw new ColobusError(`The ${what} failed`, { errno });
}
