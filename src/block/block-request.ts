/**
 * BlockRequest: one operation on its way through the block graph.
 *
 * Whoever needs I/O takes a request from the pool, fills it in, submits it to an edge or backend, and is told by
 * `requestDone` when it has completed; then it gives the request back. A request completes exactly once, with an
 * errno (0 is success), perhaps before `submit` returns. No promise, closure or fresh object is made per request.
 *
 * A node that passes a request on takes a child request whose `owner` is the node and whose `parent` is the request
 * it serves. Requests in flight at once have no order; a flush makes durable every write that completed before the
 * flush was submitted.
 */

import { assert } from '../base/assert.ts';
import type { Slab } from '../base/buffer-pool.ts';
import type { ExtentList } from './extent-list.ts';

export type RequestKind = 'read' | 'write' | 'flush' | 'discard' | 'write-zeroes' | 'block-status' | 'cache';

/** Told when a request it submitted has completed. */
export interface RequestOwner {
  requestDone(request: BlockRequest): void;
}

/** Counts the requests of one root of the graph; see BlockBackend. */
export interface RequestTracker {
  /** A request of `kind` for the `length` bytes from `offset` on has completed with `errno`, and its owner knows. */
  requestFinished(kind: RequestKind, offset: number, length: number, errno: number): void;
}

/** True for the kinds that change a node's data. */
export function changesData(kind: RequestKind): boolean {
  return kind === 'write' || kind === 'write-zeroes' || kind === 'discard';
}

const NO_BYTES = Buffer.alloc(0);
const NOBODY: RequestOwner = { requestDone: () => {} };
const MAX_POOLED = 4096;

export class BlockRequest {
  kind: RequestKind = 'read';
  /** First byte on the node. */
  offset = 0;
  /** Bytes; 0 for a flush. */
  length = 0;
  /** Memory of a read or write: bytes `at` to `at + length` of `buffer`. */
  buffer: Buffer = NO_BYTES;
  at = 0;
  /** The slab that `buffer` belongs to, if it is reference-counted; who outlives the owner's interest retains it. */
  slab: Slab | null = null;
  /** The data must be durable before the request completes (write, write-zeroes). */
  fua = false;
  /** A write-zeroes may leave a hole. */
  mayUnmap = false;
  /** A write-zeroes must fail with ENOTSUP where it would be no faster than a write. */
  fastOnly = false;
  /** Where a block-status puts its answer, which may cover less than the range but never nothing. */
  extents: ExtentList | null = null;
  /** How it completed; 0 is success. */
  errno = 0;
  /** For a read that failed: the first byte on the node that could not be had; -1 where that is not known. */
  errorAt = -1;

  owner: RequestOwner = NOBODY;
  /** The request that this one serves, for its owner. */
  parent: BlockRequest | null = null;
  /** A number for its owner. */
  tag = 0;
  /** What the node that performs the request keeps about it. */
  context: object | null = null;
  /** The root that counts this request, if a root submitted it. */
  tracker: RequestTracker | null = null;
  /** Number of the last before-write notifier that saw it, for the node that runs them; 0 while none did. */
  notified = 0;
  #state: 'free' | 'owned' | 'submitted' = 'free';

  /** True for what changes a node's data: write, write-zeroes, discard. */
  get changesData(): boolean {
    return changesData(this.kind);
  }

  /** Marks the request as on its way; an edge calls it. */
  markSubmitted(): void {
    assert(this.#state !== 'free', 'A free request is not submitted');
    this.#state = 'submitted';
  }

  /** Ends the request. Called once, by whoever holds it, when its effect is there or it failed. */
  complete(errno: number): void {
    assert(this.#state === 'submitted', 'A request completes exactly once');
    this.#state = 'owned';
    this.errno = errno;
    const tracker = this.tracker;
    this.tracker = null;
    // The owner may give the request back.
    const { kind, offset, length } = this;
    this.owner.requestDone(this);
    tracker?.requestFinished(kind, offset, length, errno);
  }

  /** For the pool alone. */
  acquire(owner: RequestOwner): void {
    this.owner = owner;
    this.#state = 'owned';
  }

  /** For the pool alone. */
  reset(): void {
    assert(this.#state === 'owned', 'Only a request that is not on its way is given back');
    this.#state = 'free';
    this.offset = 0;
    this.length = 0;
    this.buffer = NO_BYTES;
    this.at = 0;
    this.slab = null;
    this.fua = false;
    this.mayUnmap = false;
    this.fastOnly = false;
    this.extents = null;
    this.errno = 0;
    this.errorAt = -1;
    this.owner = NOBODY;
    this.parent = null;
    this.tag = 0;
    this.context = null;
    this.tracker = null;
    this.notified = 0;
  }
}

const pool: BlockRequest[] = [];

/** A blank request of `kind` that reports to `owner`. Give it back with `releaseRequest` when it has completed. */
export function takeRequest(kind: RequestKind, owner: RequestOwner): BlockRequest {
  const request = pool.pop() ?? new BlockRequest();
  request.kind = kind;
  request.acquire(owner);
  return request;
}

/** A request like `request` in kind, range, memory and flags, in its service and reporting to `owner`. */
export function takeChildRequest(request: BlockRequest, owner: RequestOwner): BlockRequest {
  const child = takeRequest(request.kind, owner);
  child.parent = request;
  child.offset = request.offset;
  child.length = request.length;
  child.buffer = request.buffer;
  child.at = request.at;
  child.slab = request.slab;
  child.fua = request.fua;
  child.mayUnmap = request.mayUnmap;
  child.fastOnly = request.fastOnly;
  child.extents = request.extents;
  return child;
}

export function releaseRequest(request: BlockRequest): void {
  request.reset();
  if (pool.length < MAX_POOLED) pool.push(request);
}
