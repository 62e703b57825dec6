/**
 * ForwardingNode: QEMU's replication with mode=primary, which forwards writes to the other host and has no disk itself.
 *
 * It is the second child of a `quorum` whose first is the local disk. Reads fail, so that the quorum reads locally.
 * Unlike QEMU's it reports every error: the quorum above must know what landed nowhere. The first forward that fails or
 * is late ends forwarding for all disks of the group, closes the links, and makes every later write fail.
 *
 *   none ──start──► running ──failure──► degraded ──stop──► done
 */

import type { Clock, Timer } from '../../base/clock.ts';
import { EIO, ETIMEDOUT, errnoName } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import { type BlockEdge, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockEventSink } from '../../block/block-event.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../block/block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { ConsistencyGroup } from '../../block/consistency-group.ts';
import { DirtyBitmap } from '../../block/dirty-bitmap.ts';
import type { NodeReference, OpenContext } from '../../block/driver.ts';
import type { ReplicationState, ReplicationStatus, TakeOverImage } from '../../block/replication-status.ts';
import { CheckpointHold } from './checkpoint-hold.ts';
import { childStatus, imagesOfPrimary, onFailureBelow, refuseStart } from './copy-status.ts';
import { DEFAULT_WRITE_TIMEOUT_MS, FLUSH_TIMEOUT_MS, MAX_PIECE_BYTES, TICK_MS } from './limits.ts';
import { refuseUnfitLink } from './refuse-unfit-link.ts';
import { RemoteCopy } from './remote-copy.ts';

export class ForwardingNode extends BlockNode implements RequestOwner {
  readonly #copy: RemoteCopy;
  readonly #clock: Clock;
  readonly #emit: BlockEventSink;
  /** What the other host may lack. */
  readonly #dirty: DirtyBitmap;
  readonly #maxWriteBytes: number;
  readonly #writeTimeoutMs: number;
  /** Forwards on their way, oldest first; the tag of each is when it was sent. */
  readonly #inFlight = new Set<BlockRequest>();
  #changesInFlight = 0;
  /** The flush on its way that covers what the copy has stored. */
  #covering: BlockRequest | null = null;
  #state: ReplicationState = 'none';
  #group: ConsistencyGroup | null = null;
  #forwarded = 0;
  readonly #hold: CheckpointHold<BlockRequest>;
  #timer: Timer | null = null;

  private constructor(copy: RemoteCopy, context: OpenContext) {
    const { node } = copy.edge;
    super({
      name: context.nodeName,
      driver: 'replication',
      lengthBytes: node.lengthBytes,
      readOnly: context.readOnly,
      children: [copy.edge],
      // What the link cannot take at once travels in pieces, so that the node fits beside any disk of a quorum.
      limits: { ...node.limits, maxTransferBytes: DEFAULT_LIMITS.maxTransferBytes },
    });
    this.#copy = copy;
    this.#clock = context.clock;
    this.#emit = context.emit;
    this.#dirty = new DirtyBitmap(this.lengthBytes);
    this.#maxWriteBytes = node.limits.maxTransferBytes;
    this.#writeTimeoutMs = node.limits.requestTimeoutMs ?? DEFAULT_WRITE_TIMEOUT_MS;
    this.#hold = new CheckpointHold({
      nodeName: this.name,
      clock: context.clock,
      isQuiet: () => this.#changesInFlight === 0,
      refuseUnlessClean: checkpoint => this.#refuseUnlessClean(checkpoint),
      send: request => this.#forward(request, request.offset),
    });
    onFailureBelow(node, reason => this.#endAllForwarding(reason));
  }

  /** Throws UsageError where `file` cannot be a copy on another host. */
  static async open(file: NodeReference, context: OpenContext): Promise<ForwardingNode> {
    const edge = await context.attach('file', file, WRITE_EXCLUSIVE);
    refuseUnfitLink(edge.node);
    let node: ForwardingNode | null = null;
    const copy = new RemoteCopy(edge, 0, (_copy, errno) => node?.forwardFailed('flush', 0, 0, errno));
    node = new ForwardingNode(copy, context);
    return node;
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  protected override perform(request: BlockRequest): void {
    switch (request.kind) {
      case 'flush':
        this.#flush(request);
        return;
      case 'block-status':
        request.extents?.append(request.length, 0);
        request.complete(0);
        return;
      case 'read':
      case 'cache':
        request.complete(EIO);
        return;
      default:
        if (this.#hold.isActive) this.#hold.hold(request);
        else this.#forward(request, request.offset);
    }
  }

  /** Sends the piece of `request` that begins at `offset`. */
  #forward(request: BlockRequest, offset: number): void {
    const rest = request.offset + request.length - offset;
    if (this.#state !== 'running') {
      // A quorum may acknowledge it all the same, for its local disk.
      if (this.#state !== 'none' || this.#isBelowNode) this.#dirty.add(offset, rest);
      request.complete(EIO);
      return;
    }
    const child = takeChildRequest(request, this);
    if (child.kind === 'discard') {
      child.kind = 'write-zeroes';
      child.mayUnmap = true;
    }
    child.offset = offset;
    child.at += offset - request.offset;
    child.length = Math.min(rest, child.kind === 'write' ? this.#maxWriteBytes : MAX_PIECE_BYTES);
    this.#forwarded += 1;
    this.#changesInFlight += 1;
    this.#submit(child);
  }

  #flush(request: BlockRequest): void {
    const child = takeChildRequest(request, this);
    if (this.#state === 'running' && this.#copy.coverage.begin()) this.#covering = child;
    this.#submit(child);
  }

  #submit(child: BlockRequest): void {
    child.tag = this.#clock.nowMs();
    this.#inFlight.add(child);
    this.#timer ??= this.#clock.after(TICK_MS, this.#tick);
    this.#copy.edge.submit(child);
  }

  requestDone(child: BlockRequest): void {
    this.#inFlight.delete(child);
    if (child.kind === 'flush') this.#flushAnswered(child);
    else this.#changeAnswered(child);
    const { parent, slab, errno } = child;
    const next = child.offset + child.length;
    releaseRequest(child);
    if (parent === null) slab?.release();
    else if (errno === 0 && next < parent.offset + parent.length) this.#forward(parent, next);
    else parent.complete(errno);
    this.#hold.writeReturned();
  }

  #flushAnswered(flush: BlockRequest): void {
    const covers = this.#covering === flush;
    if (covers) this.#covering = null;
    if (flush.errno !== 0) this.forwardFailed('flush', 0, 0, flush.errno);
    else if (covers && this.#state === 'running') this.#copy.coverage.covered();
  }

  #changeAnswered(child: BlockRequest): void {
    this.#changesInFlight -= 1;
    const { kind, offset, length, errno } = child;
    if (errno === 0 && this.#state === 'running') {
      this.#copy.stored(offset, length, child.tag);
      return;
    }
    this.#missed(child);
    if (errno !== 0) this.forwardFailed(kind, offset, length, errno);
  }

  /** The copy may lack a piece of a change, and what comes behind it in the change, which is not sent any more. */
  #missed({ parent, offset, length }: BlockRequest): void {
    this.#dirty.add(offset, parent === null ? length : parent.offset + parent.length - offset);
  }

  /** What is above may acknowledge what was not forwarded. */
  get #isBelowNode(): boolean {
    for (const edge of this.parents) if (edge.parent !== null) return true;
    return false;
  }

  // --- failures and deadlines -------------------------------------------------------------------------------------

  /** The first failure is told and ends forwarding; for the copy's own flushes too. */
  forwardFailed(operation: string, offset: number, length: number, errno: number): void {
    if (this.#state !== 'running' && this.#state !== 'degraded') return;
    const { name } = this.#copy.edge.node;
    if (!this.#copy.isFailureTold) {
      this.#copy.isFailureTold = true;
      const data = { 'node-name': this.name, child: name, operation, offset, length, errno };
      this.#emit({ name: 'REPLICATION_ERROR', data });
    }
    this.#endAllForwarding(`${operation} of ${length} bytes at ${offset} on '${name}' failed: ${errnoName(errno)}`);
  }

  /** Every disk of the group stops forwarding before anything that waits on a connection is let go. */
  #endAllForwarding(reason: string): void {
    if (this.#state !== 'running') {
      this.#copy.error ??= reason;
      return;
    }
    const nodes = this.#group?.nodes ?? [this];
    for (const node of nodes) node.endForwarding(reason);
    for (const node of nodes) node.abandon(reason);
  }

  override endForwarding(reason: string): void {
    if (this.#state !== 'running') return;
    this.#copy.lose(reason, this.#dirty);
    this.#setState('degraded', reason);
  }

  readonly #tick = (): void => {
    const nowMs = this.#clock.nowMs();
    for (const child of this.#inFlight) {
      const limitMs = child.kind === 'flush' ? FLUSH_TIMEOUT_MS : this.#writeTimeoutMs;
      if (nowMs - child.tag >= limitMs) this.#expire(child);
    }
    if (this.#state === 'running') this.#copy.flushIfDue(nowMs);
    const isUncovered = this.#state === 'running' && this.#copy.hasUncovered;
    this.#timer = this.#inFlight.size > 0 || isUncovered ? this.#clock.after(TICK_MS, this.#tick) : null;
  };

  /** Answers for a forward that is late. It cannot be called back: its payload is kept until it returns. */
  #expire(child: BlockRequest): void {
    const { parent, kind, offset, length } = child;
    if (parent === null) return;
    if (kind !== 'flush') this.#missed(child);
    this.forwardFailed(kind, offset, length, ETIMEDOUT);
    // Closing the link may have answered it.
    if (!this.#inFlight.has(child) || child.parent !== parent) return;
    child.parent = null;
    child.slab?.retain();
    parent.complete(EIO);
  }

  #setState(state: ReplicationState, reason: string): void {
    this.#state = state;
    this.#emit({ name: 'REPLICATION_STATE_CHANGE', data: { 'node-name': this.name, state, reason } });
  }

  // --- changes of the graph ---------------------------------------------------------------------------------------

  override checkRelink(edge: BlockEdge): void {
    throw new UsageError(
      `Node '${edge.node.name}' is the copy that '${this.name}' forwards to and cannot be replaced by another node`,
    );
  }

  override async resize(): Promise<void> {
    throw new UsageError(`Node '${this.name}' is replicated: its copy keeps the size it has`);
  }

  // --- replication ------------------------------------------------------------------------------------------------

  override checkStart(): void {
    refuseStart(this.name, this.#state, [this.#copy]);
  }

  override startReplication(group: ConsistencyGroup): void {
    this.#group = group;
    const missed = this.#dirty.dirtyBytes;
    this.#dirty.clear();
    this.#setState('running', missed === 0 ? 'started' : `started without ${missed} bytes that were written before`);
  }

  override async prepareCheckpoint(checkpoint: number, deadlineMs: number): Promise<void> {
    await this.#hold.begin(checkpoint, deadlineMs);
  }

  override resumeReplication(): void {
    this.#hold.end();
  }

  override doCheckpoint(): void {
    this.#hold.end();
  }

  override abortCheckpoint(): void {
    this.#hold.end();
  }

  override checkStop(image: TakeOverImage | null): void {
    if (image !== null) throw new UsageError(`Node '${this.name}' is the primary; fail over on the secondary`);
  }

  override stopReplication(): void {
    const reason = 'replication was stopped';
    this.#copy.lose(reason, this.#dirty);
    this.#setState('done', 'stopped');
    this.abandon(reason);
  }

  override replicationStatus(): ReplicationStatus {
    return {
      nodeName: this.name,
      role: 'primary',
      state: this.#state,
      checkpoint: this.#group?.checkpoint ?? 0,
      prepared: this.#group?.prepared ?? null,
      dirtyBytes: this.#dirty.dirtyBytes,
      writes: this.#forwarded,
      children: [childStatus(this.#copy.edge.node, this.#copy.error)],
      images: imagesOfPrimary(),
    };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.cancel();
  }

  #refuseUnlessClean(checkpoint: number): void {
    if (this.#state === 'running' && this.#dirty.isEmpty) return;
    const why = this.#copy.error === null ? '' : ` (${this.#copy.error})`;
    throw new ColobusError(
      `Checkpoint ${checkpoint} of node '${this.name}' is refused: its state is ${this.#state}${why}`,
      { errno: EIO },
    );
  }
}
