/**
 * ReplicationNode: the primary's disk, written to all copies and read from the local one.
 *
 * The life of a write (design: success means stored):
 *
 *   perform ─► held while a checkpoint is prepared ─► waits for an overlapping write ─► sent to every copy at once
 *           ─► all copies have answered ─► dirty where one failed ─► acknowledged
 *
 * The first forward that fails or is late ends forwarding for all disks of the group, before that write is
 * acknowledged: were later writes forwarded past a missing one, the secondary would hold a journal commit without its
 * journal. From then on writes are local and dirty, or refused, as `on-remote-error` says.
 */

import type { Clock, Timer } from '../../base/clock.ts';
import { EIO, ETIMEDOUT, errnoName } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import type { BlockEventSink } from '../../block/block-event.ts';
import { BlockNode } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { ConsistencyGroup } from '../../block/consistency-group.ts';
import { DirtyBitmap } from '../../block/dirty-bitmap.ts';
import { OverlapTracker } from '../../block/overlap-tracker.ts';
import type { ReplicationState, ReplicationStatus, TakeOverImage } from '../../block/replication-status.ts';
import { CheckpointHold } from './checkpoint-hold.ts';
import { childStatus, imagesOfPrimary, onFailureBelow, refuseStart } from './copy-status.ts';
import { FlushCoverage } from './flush-coverage.ts';
import { DEFAULT_WRITE_TIMEOUT_MS, FLUSH_TIMEOUT_MS, MAX_PIECE_BYTES, TICK_MS } from './limits.ts';
import { LOCAL, MirroredRequest, type MirrorSupervisor } from './mirrored-request.ts';
import type { OnRemoteError } from './options.ts';
import { RemoteCopy } from './remote-copy.ts';

const MAX_POOLED = 1024;

export type ReplicationNodeOptions = {
  readonly name: string;
  readonly readOnly: boolean;
  /** The local edge, then the remote ones. */
  readonly edges: readonly BlockEdge[];
  readonly onRemoteError: OnRemoteError;
  readonly clock: Clock;
  readonly emit: BlockEventSink;
};

export class ReplicationNode extends BlockNode implements MirrorSupervisor {
  readonly #local: BlockEdge;
  readonly #remotes: readonly RemoteCopy[];
  readonly #onRemoteError: OnRemoteError;
  readonly #writeTimeoutMs: number;
  readonly #clock: Clock;
  readonly #emit: BlockEventSink;
  readonly #dirty: DirtyBitmap;
  readonly #localCoverage: FlushCoverage;
  readonly #tracker = new OverlapTracker<MirroredRequest>();
  readonly #flushes = new Set<MirroredRequest>();
  readonly #pool: MirroredRequest[] = [];
  #state: ReplicationState = 'none';
  #forwarding = false;
  #group: ConsistencyGroup | null = null;
  #localError: string | null = null;
  #forwarded = 0;
  readonly #hold: CheckpointHold<MirroredRequest>;
  #timer: Timer | null = null;

  constructor(options: ReplicationNodeOptions) {
    const [local, ...remotes] = options.edges as readonly [BlockEdge, ...BlockEdge[]];
    const nodes = options.edges.map(edge => edge.node);
    super({
      name: options.name,
      driver: 'replication',
      lengthBytes: local.node.lengthBytes,
      readOnly: options.readOnly,
      children: options.edges,
      limits: {
        requestAlignment: Math.max(...nodes.map(node => node.limits.requestAlignment)),
        maxTransferBytes: Math.min(...nodes.map(node => node.limits.maxTransferBytes)),
        fastZeroes: nodes.every(node => node.limits.fastZeroes),
      },
    });
    this.#local = local;
    this.#remotes = remotes.map(
      (edge, i) =>
        new RemoteCopy(edge, LOCAL + 1 + i, (copy, errno) => this.#forwardFailed(copy, 'flush', 0, 0, errno)),
    );
    this.#onRemoteError = options.onRemoteError;
    this.#writeTimeoutMs = Math.min(
      ...remotes.map(edge => edge.node.limits.requestTimeoutMs ?? DEFAULT_WRITE_TIMEOUT_MS),
    );
    this.#clock = options.clock;
    this.#emit = options.emit;
    this.#dirty = new DirtyBitmap(this.lengthBytes);
    this.#localCoverage = new FlushCoverage(this.lengthBytes);
    this.#hold = new CheckpointHold({
      nodeName: this.name,
      clock: options.clock,
      isQuiet: () => this.#tracker.active === 0,
      refuseUnlessClean: checkpoint => this.#refuseUnlessClean(checkpoint),
      send: mirrored => this.#sendHeld(mirrored),
    });
    for (const remote of this.#remotes) onFailureBelow(remote.edge.node, reason => this.#linkLost(remote, reason));
    onFailureBelow(local.node, reason => {
      this.#localError ??= reason;
      this.#localLost();
    });
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  protected override perform(request: BlockRequest): void {
    if (request.kind === 'flush') this.#flush(request);
    else if (request.changesData) this.#write(request);
    else this.#local.submit(request);
  }

  #write(request: BlockRequest): void {
    if (this.#state === 'none' || this.#refusesWrites) {
      request.complete(EIO);
      return;
    }
    const mirrored = this.#take(request);
    if (this.#hold.isActive) this.#hold.hold(mirrored);
    else if (this.#tracker.enter(mirrored)) this.#send(mirrored);
  }

  /** Sends the present piece to every copy, the remote ones first: their answer takes longest. */
  #send(mirrored: MirroredRequest): void {
    const guest = mirrored.request as BlockRequest;
    if (this.#refusesWrites) {
      this.#finish(mirrored, EIO);
      return;
    }
    if (mirrored.pieceLength > MAX_PIECE_BYTES && guest.kind !== 'write') mirrored.pieceLength = MAX_PIECE_BYTES;
    if (!this.#forwarding) {
      this.#dirty.add(mirrored.pieceOffset, mirrored.pieceLength);
      mirrored.expect(1 << LOCAL);
    } else {
      mirrored.expect((1 << (this.#remotes.length + 1)) - 1);
      this.#forwarded += 1;
      for (const remote of this.#remotes) mirrored.sendTo(remote.index, remote.edge, guest);
    }
    mirrored.sendTo(LOCAL, this.#local, guest);
  }

  #flush(request: BlockRequest): void {
    if (this.#refusesWrites) {
      request.complete(EIO);
      return;
    }
    const mirrored = this.#take(request);
    this.#flushes.add(mirrored);
    if (this.#forwarding) {
      mirrored.expect((1 << (this.#remotes.length + 1)) - 1);
      for (const remote of this.#remotes) {
        if (remote.coverage.begin()) mirrored.covers |= 1 << remote.index;
        mirrored.sendTo(remote.index, remote.edge, request);
      }
    } else {
      mirrored.expect(1 << LOCAL);
    }
    if (this.#localCoverage.begin()) mirrored.covers |= 1 << LOCAL;
    mirrored.sendTo(LOCAL, this.#local, request);
  }

  copyAnswered(mirrored: MirroredRequest, child: BlockRequest): void {
    const { errno } = child;
    const { pieceOffset, pieceLength } = mirrored;
    if (child.tag === LOCAL) {
      mirrored.localErrno = errno;
      if (errno !== 0) {
        this.#localFailed(child.kind, pieceOffset, pieceLength, errno);
        this.#localLost();
        if (mirrored.coversCopy(LOCAL)) this.#localCoverage.failed();
      } else if (!mirrored.isFlush) this.#localCoverage.stored(pieceOffset, pieceLength);
      else if (mirrored.coversCopy(LOCAL)) this.#localCoverage.covered();
      return;
    }
    const remote = this.#remotes[child.tag - 1] as RemoteCopy;
    if (errno !== 0) {
      mirrored.missedRemote = true;
      this.#dirty.add(pieceOffset, pieceLength);
      this.#forwardFailed(remote, child.kind, pieceOffset, pieceLength, errno);
    } else if (!this.#forwarding) {
      this.#dirty.add(pieceOffset, pieceLength);
    } else if (mirrored.isFlush) {
      if (mirrored.coversCopy(remote.index)) remote.coverage.covered();
    } else {
      remote.stored(pieceOffset, pieceLength, mirrored.arrivedMs);
    }
  }

  pieceAnswered(mirrored: MirroredRequest): void {
    const errno = this.#verdict(mirrored);
    const next = mirrored.pieceOffset + mirrored.pieceLength;
    if (errno === 0 && !mirrored.isAnswered && next < mirrored.offset + mirrored.length) {
      mirrored.beginPiece(next, this.#clock.nowMs());
      this.#send(mirrored);
    } else {
      this.#finish(mirrored, errno);
    }
  }

  /** What the guest is told: success only where every copy has it, or the local one has and the rest is dirty. */
  #verdict(mirrored: MirroredRequest): number {
    if (mirrored.localErrno !== 0) return mirrored.localErrno;
    return mirrored.missedRemote && this.#onRemoteError === 'report' && this.#state !== 'done' ? EIO : 0;
  }

  #finish(mirrored: MirroredRequest, errno: number): void {
    mirrored.answer(errno);
    if (mirrored.isFlush) this.#flushes.delete(mirrored);
    else this.#leave(mirrored);
    mirrored.end();
    if (this.#pool.length < MAX_POOLED) this.#pool.push(mirrored);
  }

  #leave(mirrored: MirroredRequest): void {
    for (const admitted of this.#tracker.leave(mirrored)) this.#send(admitted);
    this.#hold.writeReturned();
  }

  #take(request: BlockRequest): MirroredRequest {
    const mirrored = this.#pool.pop() ?? new MirroredRequest(this);
    mirrored.begin(request, this.#clock.nowMs());
    this.#timer ??= this.#clock.after(TICK_MS, this.#tick);
    return mirrored;
  }

  // --- failures and deadlines -------------------------------------------------------------------------------------

  get #refusesWrites(): boolean {
    return this.#state === 'degraded' && this.#onRemoteError === 'report';
  }

  /**
   * Whatever failed on the local disk may have been a sync, with which other requests of the disk are answered: no write
   * that no flush has covered can be relied on.
   */
  #localLost(): void {
    this.#localCoverage.loseTo(this.#dirty);
  }

  #localFailed(operation: string, offset: number, length: number, errno: number): void {
    this.#dirty.add(offset, length);
    this.#localError ??= `${operation} of ${length} bytes at ${offset} failed: ${errnoName(errno)}`;
    this.#reportError(this.#local.node, operation, offset, length, errno);
  }

  /** The first failure of a copy is told; where its link was lost, forwarding has ended before that. */
  #forwardFailed(remote: RemoteCopy, operation: string, offset: number, length: number, errno: number): void {
    if (!remote.isFailureTold && this.#state !== 'done') {
      remote.isFailureTold = true;
      this.#reportError(remote.edge.node, operation, offset, length, errno);
    }
    if (!this.#forwarding) return;
    const { name } = remote.edge.node;
    this.#endAllForwarding(`${operation} of ${length} bytes at ${offset} on '${name}' failed: ${errnoName(errno)}`);
  }

  #reportError(child: BlockNode, operation: string, offset: number, length: number, errno: number): void {
    this.#emit({
      name: 'REPLICATION_ERROR',
      data: { 'node-name': this.name, child: child.name, operation, offset, length, errno },
    });
  }

  /** Every disk of the group stops forwarding before anything that waits on a connection is let go. */
  #endAllForwarding(reason: string): void {
    const nodes = this.#group?.nodes ?? [this];
    for (const node of nodes) node.endForwarding(reason);
    for (const node of nodes) node.abandon(reason);
  }

  override endForwarding(reason: string): void {
    if (!this.#forwarding) return;
    this.#forwarding = false;
    for (const remote of this.#remotes) remote.lose(reason, this.#dirty);
    this.#setState('degraded', reason);
  }

  /** Closes the links; the local disk goes on. */
  override abandon(reason: string): void {
    for (const remote of this.#remotes) remote.edge.node.abandon(reason);
  }

  #linkLost(remote: RemoteCopy, reason: string): void {
    if (this.#forwarding) this.#endAllForwarding(reason);
    else remote.error ??= reason;
  }

  readonly #tick = (): void => {
    const nowMs = this.#clock.nowMs();
    this.#expire(nowMs);
    for (const remote of this.#remotes) remote.flushIfDue(nowMs);
    const isBusy = this.#tracker.active > 0 || this.#hold.count > 0 || this.#flushes.size > 0;
    const isUncovered = this.#forwarding && this.#remotes.some(remote => remote.hasUncovered);
    this.#timer = isBusy || isUncovered ? this.#clock.after(TICK_MS, this.#tick) : null;
  };

  #expire(nowMs: number): void {
    const isLate = (mirrored: MirroredRequest): boolean =>
      !mirrored.isAnswered &&
      nowMs - mirrored.arrivedMs >= (mirrored.isFlush ? FLUSH_TIMEOUT_MS : this.#writeTimeoutMs);
    for (const mirrored of [...this.#tracker.activeRequests(), ...this.#flushes]) {
      if (isLate(mirrored)) this.#expireSent(mirrored);
    }
    for (const mirrored of this.#tracker.waitingRequests().filter(isLate)) {
      mirrored.answer(EIO);
      for (const admitted of this.#tracker.withdraw(mirrored)) this.#send(admitted);
    }
  }

  /** A copy did not answer in time: forwarding ends if it is a remote one; the guest is answered in any case. */
  #expireSent(mirrored: MirroredRequest): void {
    const { pieceOffset, pieceLength } = mirrored;
    const operation = mirrored.isFlush ? 'flush' : 'write';
    const late = this.#remotes.find(remote => mirrored.waitsFor(remote.index));
    if (late !== undefined) this.#forwardFailed(late, operation, pieceOffset, pieceLength, ETIMEDOUT);
    if (mirrored.isAnswered) return;
    // What is still out cannot be called back: its payload is kept until it returns, and while it is the local copy
    // its range stays locked.
    mirrored.missedRemote ||= late !== undefined;
    this.#dirty.add(pieceOffset, pieceLength);
    if (mirrored.waitsFor(LOCAL)) this.#localFailed(operation, pieceOffset, pieceLength, EIO);
    mirrored.answer(mirrored.waitsFor(LOCAL) ? EIO : this.#verdict(mirrored));
    if (!mirrored.isFlush && !mirrored.waitsFor(LOCAL)) this.#leave(mirrored);
  }

  #setState(state: ReplicationState, reason: string): void {
    this.#state = state;
    this.#emit({ name: 'REPLICATION_STATE_CHANGE', data: { 'node-name': this.name, state, reason } });
  }

  // --- changes of the graph ---------------------------------------------------------------------------------------

  override checkRelink(edge: BlockEdge): void {
    throw new UsageError(
      `Node '${edge.node.name}' is a copy of the replicated disk '${this.name}' and cannot be replaced by another node`,
    );
  }

  override async resize(): Promise<void> {
    throw new UsageError(`Node '${this.name}' is replicated: its copies keep the size they have`);
  }

  // --- replication ------------------------------------------------------------------------------------------------

  override checkStart(): void {
    refuseStart(this.name, this.#state, this.#remotes);
  }

  override startReplication(group: ConsistencyGroup): void {
    this.#group = group;
    this.#forwarding = true;
    this.#setState('running', 'started');
  }

  override async prepareCheckpoint(checkpoint: number, deadlineMs: number): Promise<void> {
    await this.#hold.begin(checkpoint, deadlineMs);
  }

  override resumeReplication(): void {
    this.#hold.end();
  }

  /** To a primary this is the end of the hold, by whichever of the two commands it comes. */
  override doCheckpoint(): void {
    this.#hold.end();
  }

  override abortCheckpoint(): void {
    this.#hold.end();
  }

  override checkStop(image: TakeOverImage | null): void {
    if (image !== null) throw new UsageError(`Node '${this.name}' is the primary; fail over on the secondary`);
  }

  /** The guest goes on with the local disk: what it writes from now on is dirty. */
  override stopReplication(): void {
    this.#forwarding = false;
    for (const remote of this.#remotes) remote.lose('replication was stopped', this.#dirty);
    this.#setState('done', 'stopped');
    this.abandon('replication was stopped');
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
      children: [
        childStatus(this.#local.node, this.#localError),
        ...this.#remotes.map(remote => childStatus(remote.edge.node, remote.error)),
      ],
      images: imagesOfPrimary(),
    };
  }

  #refuseUnlessClean(checkpoint: number): void {
    const refuse = (why: string): never => {
      throw new ColobusError(`Checkpoint ${checkpoint} of node '${this.name}' is refused: ${why}`, { errno: EIO });
    };
    if (this.#state !== 'running') {
      refuse(`its state is ${this.#state}${this.#remotes[0]?.error ? ` (${this.#remotes[0].error})` : ''}`);
    }
    if (this.#localError !== null) refuse(`its local disk '${this.#local.node.name}' failed: ${this.#localError}`);
    if (!this.#dirty.isEmpty) refuse(`${this.#dirty.dirtyBytes} bytes differ between the copies; resync first`);
  }

  /** Its deadline counts from the end of the hold, which has one of its own and fails no write. */
  #sendHeld(mirrored: MirroredRequest): void {
    mirrored.arrivedMs = this.#clock.nowMs();
    if (this.#tracker.enter(mirrored)) this.#send(mirrored);
  }
}
