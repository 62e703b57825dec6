/**
 * BlockBackend: a root of the block graph, through which an export or a job uses a node.
 *
 * It counts its requests in flight and can be held: while it is, new requests wait and none reaches the graph. Drain
 * is built on that: what is in flight below completes freely, nothing new enters.
 */

import { assert } from '../base/assert.ts';
import { ESHUTDOWN } from '../base/errno.ts';
import { BlockEdge, type EdgePermissions } from './block-edge.ts';
import type { BlockNode } from './block-node.ts';
import { type BlockRequest, changesData, type RequestKind, type RequestTracker } from './block-request.ts';

/** Told of every request of a root that failed. */
export type FailureListener = (kind: RequestKind, errno: number) => void;

export class BlockBackend implements RequestTracker {
  /** For people and error texts, such as `export 'replica'`. */
  readonly name: string;
  readonly edge: BlockEdge;
  /** Who is told of requests that fail, if anybody is. */
  onFailure: FailureListener | null = null;
  #inFlight = 0;
  #holds = 0;
  #held: BlockRequest[] = [];
  #closed = false;
  #changes = 0;
  #changeErrno = 0;
  #writers = 0;
  #hadWriter = false;
  #lostWriters = 0;
  #idleWaiters: (() => void)[] = [];
  readonly #releaseListeners: (() => void)[] = [];

  /** Attaches to `node`. Throws UsageError where the permissions conflict with another parent's. */
  constructor(name: string, node: BlockNode, permissions: EdgePermissions) {
    this.name = name;
    this.edge = new BlockEdge(name, 'root', node, permissions, this);
  }

  get node(): BlockNode {
    return this.edge.node;
  }

  /** Requests that entered the graph and have not completed. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests that change data which entered the graph since `beginWriting`. */
  get changes(): number {
    return this.#changes;
  }

  /** Why a change by the present or last writer failed first; 0 while none did. */
  get changeErrno(): number {
    return this.#changeErrno;
  }

  /** True where somebody has begun to write, and may be gone. */
  get hasHadWriter(): boolean {
    return this.#hadWriter;
  }

  /** True where somebody has written and is gone. */
  get hasLostWriter(): boolean {
    return this.#hadWriter && this.#writers === 0;
  }

  /** Writers that ended without taking leave, so that nobody knows whether they had more to write. */
  get lostWriters(): number {
    return this.#lostWriters;
  }

  /** A connection begins to write: changes are counted from 0 again. */
  beginWriting(): void {
    this.#changes = 0;
    this.#changeErrno = 0;
    this.#hadWriter = true;
    this.#writers += 1;
  }

  /** A connection that began to write has ended; `tookLeave` tells whether it said so. */
  endWriting(tookLeave: boolean): void {
    this.#writers -= 1;
    if (!tookLeave) this.#lostWriters += 1;
  }

  submit(request: BlockRequest): void {
    if (this.#closed) {
      request.markSubmitted();
      request.complete(ESHUTDOWN);
    } else if (this.#holds > 0) {
      this.#held.push(request);
    } else {
      this.#enter(request);
    }
  }

  /** New requests wait. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** Calls `listener` once, when the root is no longer held. */
  onRelease(listener: () => void): void {
    this.#releaseListeners.push(listener);
  }

  /**
   * Begins a piece of work that takes several requests. It counts as one in flight, so that a drain waits for all of
   * it; whoever is free to begin it later does not while the root is held.
   */
  beginWork(): void {
    this.#inFlight += 1;
  }

  endWork(): void {
    this.#leave();
  }

  /** Submits a request of work that has begun: it goes on even while the root is held. */
  submitInWork(request: BlockRequest): void {
    if (this.#closed) this.submit(request);
    else this.#enter(request);
  }

  requestFinished(kind: RequestKind, offset: number, length: number, errno: number): void {
    this.edge.node.counters.count(kind, offset, length, errno);
    if (errno !== 0) this.#noteFailure(kind, errno);
    this.#leave();
  }

  #leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0 && this.#idleWaiters.length > 0) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const waiter of waiters) waiter();
    }
  }

  /** It is closed, and stays for the sake of requests that have not returned. */
  get isLeftBehind(): boolean {
    return this.#closed && this.#inFlight > 0;
  }

  /** From now on new requests wait. Holds nest; each is ended by one `unhold`. */
  hold(): void {
    this.#holds += 1;
  }

  unhold(): void {
    assert(this.#holds > 0, 'Every unhold ends a hold');
    this.#holds -= 1;
    if (this.#holds > 0) return;
    const held = this.#held;
    this.#held = [];
    for (const request of held) this.submit(request);
    for (const listener of this.#releaseListeners.splice(0)) listener();
  }

  /** Resolves when nothing is in flight. Bound it with a deadline. */
  idle(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : new Promise(resolve => this.#idleWaiters.push(resolve));
  }

  /** Refuses new and held requests with ESHUTDOWN. What is in flight goes on; `idle` tells when it has ended. */
  close(): void {
    this.#closed = true;
    const held = this.#held;
    this.#held = [];
    for (const request of held) this.submit(request);
  }

  /** Leaves the graph; call it when the backend is closed and idle. */
  detach(): void {
    assert(this.#closed && this.#inFlight === 0, 'A root leaves the graph closed and idle');
    this.edge.detach();
  }

  #noteFailure(kind: RequestKind, errno: number): void {
    if (this.#changeErrno === 0 && changesData(kind)) this.#changeErrno = errno;
    this.onFailure?.(kind, errno);
  }

  #enter(request: BlockRequest): void {
    this.#inFlight += 1;
    if (request.changesData) this.#changes += 1;
    request.tracker = this;
    this.edge.submit(request);
  }
}
