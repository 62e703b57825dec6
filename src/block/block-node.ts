/**
 * BlockNode: one node of the block graph, the base of every driver.
 *
 * A driver implements `perform`; requests reach it through an edge, whose guard has checked them, and after the
 * node's before-write notifiers have let them pass. The replication members (QEMU's seed names them
 * `bdrv_prepare_checkpoint` and `bdrv_do_checkpoint`) recurse to the children unless a driver has its own part in them.
 */

import { assert } from '../base/assert.ts';
import { UsageError } from '../base/errors.ts';
import type { BeforeWriteNotifier } from './before-write-notifier.ts';
import type { BlockBackend } from './block-backend.ts';
import type { BlockEdge, EdgePermissions } from './block-edge.ts';
import type { BlockRequest } from './block-request.ts';
import type { ConsistencyGroup } from './consistency-group.ts';
import type { ExtentList } from './extent-list.ts';
import { IoCounters } from './io-counters.ts';
import { NodeBitmaps } from './node-bitmaps.ts';
import type { ReplicationStatus, TakeOverImage } from './replication-status.ts';
import type { RequestPolicy } from './request-policy.ts';
import type { WriteInterceptor } from './write-interceptor.ts';

export type NodeLimits = {
  /** Offsets and lengths of requests are multiples of this many bytes. */
  readonly requestAlignment: number;
  /** Most bytes of one read or write. */
  readonly maxTransferBytes: number;
  /** A write-zeroes with `fastOnly` can succeed. */
  readonly fastZeroes: boolean;
  /** Longest the node lets a write take before it fails it; no such promise where it is left out. */
  readonly requestTimeoutMs?: number;
  /** It sends requests again when its link was lost and is back; no such thing where it is left out. */
  readonly reconnects?: boolean;
  /** It sends requests over several links, of which one may be lost before the others; not so where it is left out. */
  readonly isParallel?: boolean;
};

export const DEFAULT_LIMITS: NodeLimits = {
  requestAlignment: 1,
  maxTransferBytes: 64 * 1024 * 1024,
  fastZeroes: false,
};

export type NodeDescription = {
  readonly name: string;
  readonly driver: string;
  /** Size in bytes, 0 to 2^53 - 1. */
  readonly lengthBytes: number;
  readonly readOnly: boolean;
  readonly limits?: NodeLimits;
  /** The image behind the node, for people: a path or a URI. */
  readonly filename?: string;
  /** Edges to children by role, made before the node was. */
  readonly children?: readonly BlockEdge[];
};

type NumberedNotifier = { readonly number: number; readonly notifier: BeforeWriteNotifier };

/** How a node is linked to a child that it is given while it is in use. */
export type ChildLink = { readonly role: string; readonly permissions: EdgePermissions };

export abstract class BlockNode implements AsyncDisposable {
  readonly name: string;
  readonly driver: string;
  readonly limits: NodeLimits;
  readonly filename: string;
  readonly parents: Set<BlockEdge> = new Set();
  /** The dirty bitmaps that record what is written to the node. */
  readonly bitmaps: NodeBitmaps = new NodeBitmaps(this);
  /** What roots had of the node; nodes above it have counters of their own. */
  readonly counters: IoCounters = new IoCounters();
  /** What becomes of requests before the driver sees them, if it is not nothing. */
  policy: RequestPolicy | null = null;
  /** In the order they came, which their numbers are of. */
  readonly #notifiers: NumberedNotifier[] = [];
  #lastNotifier = 0;
  readonly #failureListeners: ((reason: string) => void)[] = [];
  readonly #children: Map<string, BlockEdge>;
  #interceptor: WriteInterceptor | null = null;
  /** There are notifiers or an interceptor. */
  #isWatched = false;
  #lengthBytes: number;
  #readOnly: boolean;
  #failure: string | null = null;

  constructor(description: NodeDescription) {
    assert(Number.isSafeInteger(description.lengthBytes) && description.lengthBytes >= 0, 'A length is a safe integer');
    this.name = description.name;
    this.driver = description.driver;
    this.#lengthBytes = description.lengthBytes;
    this.#readOnly = description.readOnly;
    this.limits = description.limits ?? DEFAULT_LIMITS;
    this.filename = description.filename ?? '';
    this.#children = new Map((description.children ?? []).map(edge => [edge.role, edge]));
    for (const edge of this.#children.values()) edge.parent = this;
  }

  /** Size in bytes; it changes only in `resize`. */
  get lengthBytes(): number {
    return this.#lengthBytes;
  }

  get readOnly(): boolean {
    return this.#readOnly;
  }

  /** Edges to children by role. */
  get children(): ReadonlyMap<string, BlockEdge> {
    return this.#children;
  }

  /** Does what a checked request asks for and completes it, now or later. */
  protected abstract perform(request: BlockRequest): void;

  /**
   * Takes a request from an edge and performs it. One that changes data goes to the write interceptor first, and then
   * past the before-write notifiers.
   */
  receive(request: BlockRequest): void {
    if (!this.#isWatched || !request.changesData) this.perform(request);
    else if (this.#interceptor !== null) this.#interceptor.interceptWrite(request);
    else this.#notify(request);
  }

  /** For the write interceptor: performs a request of its own, as if none was there. */
  receiveIntercepted(request: BlockRequest): void {
    request.markSubmitted();
    this.#notify(request);
  }

  #notify(request: BlockRequest): void {
    request.notified = 0;
    this.proceed(request);
  }

  /** Lets a request that a before-write notifier held back go on its way: past those that came after that one. */
  proceed(request: BlockRequest): void {
    for (let i = 0; i < this.#notifiers.length; i++) {
      const { number, notifier } = this.#notifiers[i] as NumberedNotifier;
      if (number <= request.notified) continue;
      request.notified = number;
      if (!notifier.beforeWrite(request)) return;
    }
    this.perform(request);
  }

  addBeforeWriteNotifier(notifier: BeforeWriteNotifier): void {
    this.#notifiers.push({ number: ++this.#lastNotifier, notifier });
    this.#isWatched = true;
  }

  /** The notifier still answers every request that it holds; it sees no other. */
  removeBeforeWriteNotifier(notifier: BeforeWriteNotifier): void {
    const index = this.#notifiers.findIndex(entry => entry.notifier === notifier);
    if (index >= 0) this.#notifiers.splice(index, 1);
    this.#isWatched = this.#notifiers.length > 0 || this.#interceptor !== null;
  }

  /** Who sees every change of data before and after it happens; null where nobody does. */
  get interceptor(): WriteInterceptor | null {
    return this.#interceptor;
  }

  /** Whoever sets it has drained the node, or a write in flight would pass it by; one that is there stays. */
  setInterceptor(interceptor: WriteInterceptor | null): void {
    assert(interceptor === null || this.#interceptor === null, 'A node has one write interceptor at most');
    this.#interceptor = interceptor;
    this.#isWatched = this.#notifiers.length > 0 || interceptor !== null;
  }

  /** Metadata contexts that the driver has of its own, by the names under which clients of an export select them. */
  get metaContexts(): readonly string[] {
    return [];
  }

  /**
   * Adds to `extents`, of which there are at most `maxExtents` then, the statuses that one of the driver's contexts has
   * for the `length` bytes from `offset` on, or for the first of them.
   */
  describeContext(_context: string, _offset: number, length: number, extents: ExtentList, _maxExtents: number): void {
    extents.append(length, 0);
  }

  /** The same for how deep the data lie: 1 where the node has them itself, 2 where its backing does, 0 where nobody. */
  describeDepth(_offset: number, length: number, extents: ExtentList, _maxExtents: number): void {
    extents.append(length, 1);
  }

  /** Why the node can store nothing any more, such as a lost connection; null while it can. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Calls `listener` once, when the node fails, before the requests in flight complete; at once if it has failed. */
  onFailure(listener: (reason: string) => void): void {
    if (this.#failure === null) this.#failureListeners.push(listener);
    else listener(this.#failure);
  }

  /** For the driver: the node can store nothing any more. Only the first call counts. */
  protected fail(reason: string): void {
    if (this.#failure !== null) return;
    this.#failure = reason;
    for (const listener of this.#failureListeners) listener(reason);
  }

  /** Somebody waits for requests of the node: the driver holds none back of its own accord until `endHurry`. These nest. */
  beginHurry(): void {}

  /** Ends one `beginHurry`. */
  endHurry(): void {}

  /**
   * What waits for a link that was lost fails now, where a driver has it wait for the link to come back. Not below a
   * child that others use as well: they go on waiting.
   */
  stopWaiting(): void {
    for (const { node } of this.children.values()) if (node.parents.size === 1) node.stopWaiting();
  }

  /** Gives up what is in flight below, where a driver can: an nbd node closes its connection. */
  abandon(reason: string): void {
    for (const edge of this.children.values()) edge.node.abandon(reason);
  }

  /** Throws where the node is not in a state to start replicating. */
  checkStart(): void {
    for (const edge of this.children.values()) edge.node.checkStart();
  }

  /** Starts replicating as a member of `group`, after `checkStart` of all its members. */
  startReplication(group: ConsistencyGroup): void {
    for (const edge of this.children.values()) edge.node.startReplication(group);
  }

  /** Ends forwarding to the other host: it missed a write, of this disk or of another of the group. */
  endForwarding(reason: string): void {
    for (const edge of this.children.values()) edge.node.endForwarding(reason);
  }

  /** The roots that must be quiet while a checkpoint is cut: on a secondary, what the primary writes through. */
  rootsToQuiesce(): readonly BlockBackend[] {
    return [...this.children.values()].flatMap(edge => edge.node.rootsToQuiesce());
  }

  /**
   * Step one of checkpoint `checkpoint`: afterwards the node vouches for every write so far, and the last checkpoint
   * and this one can both be had. A primary holds new writes from the call on, in the tick of the call, until
   * `resumeReplication` or `abortCheckpoint`. Throws, holding nothing, where the node cannot vouch.
   */
  async prepareCheckpoint(checkpoint: number, deadlineMs: number): Promise<void> {
    await Promise.all([...this.children.values()].map(edge => edge.node.prepareCheckpoint(checkpoint, deadlineMs)));
  }

  /** Ends the hold that a prepare put on writes. */
  resumeReplication(checkpoint: number): void {
    for (const edge of this.children.values()) edge.node.resumeReplication(checkpoint);
  }

  /** Step two: the prepared checkpoint takes effect, in O(1). */
  doCheckpoint(checkpoint: number): void {
    for (const edge of this.children.values()) edge.node.doCheckpoint(checkpoint);
  }

  /** Undoes a prepare. */
  abortCheckpoint(checkpoint: number): void {
    for (const edge of this.children.values()) edge.node.abortCheckpoint(checkpoint);
  }

  /** Throws where replication cannot be ended, or not with `image`. */
  checkStop(image: TakeOverImage | null): void {
    for (const edge of this.children.values()) edge.node.checkStop(image);
  }

  /** Ends replication, after `checkStop` of all members; with `image`, takes over with that image of the disk. */
  stopReplication(image: TakeOverImage | null): void {
    for (const edge of this.children.values()) edge.node.stopReplication(image);
  }

  /** Where replication stands, or null for a node that has no part in it. */
  replicationStatus(): ReplicationStatus | null {
    return null;
  }

  // --- changes of the graph, for BlockGraph: the roots above are drained meanwhile -----------------------------------

  /** How `child` is linked if it is added now. Throws UsageError where the node takes none; some drivers override it. */
  linkForNewChild(_child: BlockNode): ChildLink {
    throw new UsageError(`The node ${this.name} does not support adding a child`);
  }

  /** Throws UsageError where the child cannot be taken away; some drivers override it. */
  checkChildRemoval(_edge: BlockEdge): void {
    throw new UsageError(`The node ${this.name} does not support removing a child`);
  }

  /** Throws UsageError where the driver cannot bear another node in the place of a child. */
  checkRelink(_edge: BlockEdge): void {}

  addChild(edge: BlockEdge): void {
    edge.parent = this;
    this.#children.set(edge.role, edge);
    this.childrenChanged();
  }

  removeChild(edge: BlockEdge): void {
    this.#children.delete(edge.role);
    this.childrenChanged();
  }

  /** A child has been replaced by another node. */
  relinked(): void {
    this.childrenChanged();
  }

  /** For the driver: children were added, removed or replaced. */
  protected childrenChanged(): void {}

  /** Gives the image another, larger size. Throws UsageError where the driver cannot; some override it. */
  async resize(_lengthBytes: number): Promise<void> {
    throw new UsageError('Image format driver does not support resize');
  }

  /** For the driver: the image has that size now. */
  protected resized(lengthBytes: number): void {
    this.#lengthBytes = lengthBytes;
    this.bitmaps.grow(lengthBytes);
  }

  /**
   * Changes options that the node was opened with to those in `options`, what `driver.options` made of a definition;
   * `changed` names the ones that differ. Throws UsageError, having changed nothing, where one cannot be changed.
   */
  async reopen(changed: readonly string[], _options: unknown): Promise<void> {
    if (changed[0] !== undefined) throw new UsageError(`Cannot change the option '${changed[0]}'`);
  }

  /** Makes the node read-only or writable. Throws UsageError, having changed nothing, where that cannot be. */
  async setReadOnly(_readOnly: boolean): Promise<void> {
    throw new UsageError("Cannot change the option 'read-only'");
  }

  /** Throws UsageError where the node cannot become read-only since somebody writes to it. */
  protected checkNoWriters(): void {
    for (const edge of this.parents) {
      if (!edge.permissions.write) continue;
      throw new UsageError(
        `Read-only block node '${this.name}' cannot support read-write users, such as ${edge.holder}`,
      );
    }
  }

  /** For the driver: the node is read-only or writable now. */
  protected readOnlyChanged(readOnly: boolean): void {
    this.#readOnly = readOnly;
  }

  /** Closes what the node opened. Its edges are the graph's to detach. */
  async [Symbol.asyncDispose](): Promise<void> {}
}
