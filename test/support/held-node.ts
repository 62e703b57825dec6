/** HeldNode: a disk in memory whose requests complete when a test says so. */

import { assert } from '../../src/base/assert.ts';
import { BlockNode, DEFAULT_LIMITS, type NodeLimits } from '../../src/block/block-node.ts';
import type { BlockRequest, RequestKind } from '../../src/block/block-request.ts';

export type HeldNodeOptions = {
  readonly lengthBytes?: number;
  /** Longer than the content: the node then keeps no data and only takes note of requests. */
  readonly reportedBytes?: number;
  readonly readOnly?: boolean;
  readonly limits?: Partial<NodeLimits>;
};

export class HeldNode extends BlockNode {
  readonly content: Buffer;
  /** What reached the node, in order: kind, offset, length. */
  readonly log: [RequestKind, number, number][] = [];
  /** While true, requests wait in `held`. */
  holding = false;
  readonly held: BlockRequest[] = [];
  /** The errno of requests from now on. */
  errno = 0;
  #waiters: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(options: HeldNodeOptions = {}) {
    const { lengthBytes = 1024 * 1024, reportedBytes = lengthBytes, readOnly = false, limits = {} } = options;
    super({
      name: 'held',
      driver: 'held',
      lengthBytes: reportedBytes,
      readOnly,
      limits: { ...DEFAULT_LIMITS, ...limits },
    });
    this.content = Buffer.alloc(lengthBytes);
  }

  /** Resolves when `count` requests have reached the node in all. */
  reached(count: number): Promise<void> {
    if (this.log.length >= count) return Promise.resolve();
    return new Promise(resolve => this.#waiters.push({ count, resolve }));
  }

  /** Completes the requests that are held, and from now on all at once. */
  letGo(): void {
    this.holding = false;
    this.completeHeld();
  }

  /** Completes the requests that are held; those they lead to are held again. */
  completeHeld(): void {
    for (const request of this.held.splice(0)) this.#carryOut(request);
  }

  protected override perform(request: BlockRequest): void {
    this.log.push([request.kind, request.offset, request.length]);
    if (this.holding) this.held.push(request);
    else this.#carryOut(request);
    const reached = this.#waiters.filter(({ count }) => this.log.length >= count);
    this.#waiters = this.#waiters.filter(waiter => !reached.includes(waiter));
    for (const { resolve } of reached) resolve();
  }

  #carryOut(request: BlockRequest): void {
    const { kind, offset, length, buffer, at } = request;
    if (this.errno === 0) {
      if (kind === 'read') this.content.copy(buffer, at, offset, offset + length);
      if (kind === 'write') buffer.copy(this.content, offset, at, at + length);
      if (kind === 'write-zeroes' || kind === 'discard')
        this.content.fill(0, offset, Math.min(offset + length, this.content.length));
      if (kind === 'block-status') this.#describe(request);
    }
    request.complete(this.errno);
  }

  /** Sectors of zeroes are holes. */
  #describe(request: BlockRequest): void {
    assert(request.extents !== null, 'A block-status brings the list for its answer');
    if (request.offset >= this.content.length) {
      request.extents.append(request.length, 3);
      return;
    }
    const end = request.offset + request.length;
    for (let at = request.offset; at < end; ) {
      const next = Math.min(end, at - (at % 512) + 512);
      request.extents.append(next - at, this.content.subarray(at, next).every(byte => byte === 0) ? 3 : 0);
      at = next;
    }
  }
}
