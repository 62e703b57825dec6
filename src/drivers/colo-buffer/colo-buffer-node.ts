/**
 * ColoBufferNode: the standby's disk, a stable view of the last checkpoint over a disk that runs ahead of it.
 *
 *   none ──start──► running ──stop(checkpoint)──► failover ──commit──► done
 *                     │  ▲ checkpoints               └──error──► failed ──stop(checkpoint)──► failover
 *                     └── stop(latest) or plain stop ──────────────────────────────────────► done
 *
 * In `none` and `done` requests go to the disk; in `running` the standby's writes stay in the buffer; from `failover`
 * on they go to the disk.
 */

import { EIO, errnoName } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import type { BlockBackend } from '../../block/block-backend.ts';
import { type BlockEdge, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockEventSink } from '../../block/block-event.ts';
import { BlockNode } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { ConsistencyGroup } from '../../block/consistency-group.ts';
import { rootsAbove } from '../../block/drain.ts';
import type { ExtentList } from '../../block/extent-list.ts';
import type {
  ChildStatus,
  ImageAvailability,
  ReplicationState,
  ReplicationStatus,
  TakeOverImage,
} from '../../block/replication-status.ts';
import { BufferCommit, type CommitControl } from './buffer-commit.ts';
import { type BufferPolicies, ColoBuffer } from './colo-buffer.ts';
import { isOwn, NO_ENTRY } from './entry.ts';
import { OriginalCopier } from './original-copier.ts';
import { RangeLocks } from './range-locks.ts';
import type { SpillFile } from './spill-file.ts';
import { readView } from './standby-read.ts';
import { StandbyWrite } from './standby-write.ts';
import { describeEntries, statusOfView } from './view-status.ts';

/** The metadata context that shows the buffer: 0 the disk's own content, 1 an original, 2 what the standby wrote. */
const BUFFER_CONTEXT = 'colobus:buffer';
const STATUS_ORIGINAL = 1;
const STATUS_OWN = 2;
const DEPTH_BUFFER = 1;
const DEPTH_DISK = 2;

export type ColoBufferNodeOptions = {
  readonly name: string;
  readonly readOnly: boolean;
  readonly backing: BlockEdge;
  readonly spill: SpillFile | null;
  readonly policies: BufferPolicies;
  readonly emit: BlockEventSink;
};

export class ColoBufferNode extends BlockNode {
  readonly #backing: BlockEdge;
  readonly #spill: SpillFile | null;
  readonly #emit: BlockEventSink;
  readonly #buffer: ColoBuffer;
  readonly #copier: OriginalCopier;
  readonly #locks = new RangeLocks();
  readonly #commit: BufferCommit;
  #state: ReplicationState = 'none';
  #group: ConsistencyGroup | null = null;
  #endedBy = '';
  /** Writers that each root had lost before replication started. */
  readonly #lostBefore = new Map<BlockBackend, number>();

  constructor(options: ColoBufferNodeOptions) {
    const { backing } = options;
    super({
      name: options.name,
      driver: 'colo-buffer',
      lengthBytes: backing.node.lengthBytes,
      readOnly: options.readOnly,
      children: [backing],
      limits: { ...backing.node.limits, fastZeroes: true },
    });
    this.#backing = backing;
    this.#spill = options.spill;
    this.#emit = options.emit;
    this.#buffer = new ColoBuffer(options.name, backing, options.spill, options.policies, options.emit);
    this.#copier = new OriginalCopier(this.#buffer, backing.node);
    this.#commit = new BufferCommit(this.#buffer, this.#locks);
  }

  get state(): ReplicationState {
    return this.#state;
  }

  // --- requests ---------------------------------------------------------------------------------------------------

  protected override perform(request: BlockRequest): void {
    switch (this.#state) {
      case 'none':
        if (request.changesData) request.complete(EIO);
        else this.#backing.submit(request);
        return;
      case 'done':
      case 'degraded':
        this.#backing.submit(request);
        return;
      default:
        this.#performOnView(request);
    }
  }

  #performOnView(request: BlockRequest): void {
    const isRunning = this.#state === 'running';
    if (isRunning && this.#buffer.running.invalid !== null) {
      request.complete(EIO);
      return;
    }
    switch (request.kind) {
      case 'read':
        readView(this.#buffer, request);
        return;
      case 'block-status':
        statusOfView(this.#buffer, request);
        return;
      case 'flush':
        // While it runs the buffer is volatile: what the standby wrote lives as long as its checkpoint does.
        if (isRunning) request.complete(0);
        else this.#backing.submit(request);
        return;
      case 'cache':
        request.complete(0);
        return;
      default:
        if (isRunning) this.#locks.lock(new StandbyWrite(this.#buffer, request, this.#written));
        else void this.#commit.writeThrough(request);
    }
  }

  override get metaContexts(): readonly string[] {
    return [BUFFER_CONTEXT];
  }

  override describeContext(_context: string, offset: number, length: number, extents: ExtentList, most: number): void {
    const statusOf = (entry: number): number => (entry === NO_ENTRY ? 0 : isOwn(entry) ? STATUS_OWN : STATUS_ORIGINAL);
    if (this.#isBuffering) describeEntries(this.#buffer, offset, length, extents, most, statusOf);
    else extents.append(length, 0);
  }

  override describeDepth(offset: number, length: number, extents: ExtentList, most: number): void {
    const depthOf = (entry: number): number => (entry === NO_ENTRY ? DEPTH_DISK : DEPTH_BUFFER);
    if (this.#isBuffering) describeEntries(this.#buffer, offset, length, extents, most, depthOf);
    else extents.append(length, DEPTH_DISK);
  }

  /** The buffer lies over the disk. */
  get #isBuffering(): boolean {
    return this.#state === 'running' || this.#state === 'failover' || this.#state === 'failed';
  }

  readonly #written = (write: StandbyWrite, errno: number): void => {
    write.request.complete(errno);
    this.#locks.unlock(write);
  };

  // --- changes of the graph ---------------------------------------------------------------------------------------

  override checkRelink(edge: BlockEdge): void {
    throw new UsageError(
      `Node '${edge.node.name}' is the disk below the buffer '${this.name}' and cannot be replaced by another node`,
    );
  }

  override async resize(): Promise<void> {
    throw new UsageError(`Node '${this.name}' is replicated: its disk keeps the size it has`);
  }

  // --- replication ------------------------------------------------------------------------------------------------

  override checkStart(): void {
    if (this.#state !== 'none') {
      throw new ColobusError(`Node '${this.name}' has been replicating; add a new node to start again`);
    }
    const busy = this.rootsToQuiesce().find(root => root.inFlight > 0);
    if (busy !== undefined) {
      throw new ColobusError(
        `Node '${this.#backing.node.name}' is being written by ${busy.name}; start the secondary before the primary`,
      );
    }
  }

  override startReplication(group: ConsistencyGroup): void {
    this.#group = group;
    for (const root of this.rootsToQuiesce()) this.#lostBefore.set(root, root.lostWriters);
    this.#backing.node.addBeforeWriteNotifier(this.#copier);
    this.#setState('running', 'started');
  }

  override rootsToQuiesce(): readonly BlockBackend[] {
    return [...rootsAbove(this.#backing.node, this)].filter(root => root.edge.permissions.write);
  }

  override async prepareCheckpoint(): Promise<void> {
    if (this.#state !== 'running') {
      throw new ColobusError(`Node '${this.name}' cannot prepare a checkpoint: its state is ${this.#state}`);
    }
    const failed = this.#failedWrite();
    if (failed !== null) {
      throw new ColobusError(`Node '${this.name}' cannot prepare a checkpoint: ${failed}, so the disks differ`);
    }
    this.#buffer.prepare();
  }

  override resumeReplication(): void {}

  override doCheckpoint(): void {
    this.#buffer.promote();
  }

  override abortCheckpoint(): void {
    this.#buffer.abort();
  }

  /** Refuses where the image is not available or the primary could still write. */
  override checkStop(image: TakeOverImage | null): void {
    if (this.#state !== 'running' && this.#state !== 'failed') {
      throw new ColobusError(`Node '${this.name}' cannot stop replication: its state is ${this.#state}`);
    }
    if (image === null) return;
    const { available, reason } = this.#images()[image];
    if (!available) throw new ColobusError(`Image ${image} of node '${this.name}' is not available: ${reason}`);
    const [writer] = this.rootsToQuiesce();
    if (writer !== undefined) {
      throw new UsageError(`Node '${this.#backing.node.name}' is still written by ${writer.name}; close that first`);
    }
    this.#backing.checkPermissions(WRITE_EXCLUSIVE);
  }

  /**
   * `latest` and a plain stop drop the buffer at once, and requests go to the disk. `checkpoint` begins the commit,
   * which `commit` carries out.
   */
  override stopReplication(image: TakeOverImage | null): void {
    this.#backing.node.removeBeforeWriteNotifier(this.#copier);
    if (image !== null) this.#backing.setPermissions(WRITE_EXCLUSIVE);
    if (image === 'checkpoint') {
      this.#setState('failover', 'commits image checkpoint');
      return;
    }
    this.#buffer.abort();
    this.#buffer.dropAll();
    this.#setState('done', image === null ? 'stopped' : 'took over with image latest');
  }

  /** Merges the buffer into the disk after a stop with image `checkpoint`. Throws where that fails; can be repeated. */
  async commit(control: CommitControl): Promise<void> {
    if (this.#state !== 'failover') {
      throw new ColobusError(`Node '${this.name}' has nothing to commit: its state is ${this.#state}`);
    }
    try {
      await this.#commit.run(control);
    } catch (error) {
      this.#setState('failed', messageOf(error));
      throw error;
    }
    this.#setState('done', 'took over with image checkpoint');
  }

  override replicationStatus(): ReplicationStatus {
    const { running, granularity, limit } = this.#buffer;
    return {
      nodeName: this.name,
      role: 'secondary',
      state: this.#state,
      checkpoint: this.#group?.checkpoint ?? 0,
      prepared: this.#group?.prepared ?? null,
      dirtyBytes: 0,
      writes: this.rootsToQuiesce().reduce((sum, root) => sum + root.changes, 0),
      children: [this.#diskStatus()],
      buffer: {
        originalBytes: (running.chunks - running.ownChunks) * granularity,
        ownBytes: running.ownChunks * granularity,
        limit,
        chunks: running.chunks,
        memoryBytes: this.#buffer.memoryBytes,
        spilledBytes: running.spilledBytes,
      },
      images: this.#images(),
    };
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#backing.node.removeBeforeWriteNotifier(this.#copier);
    await this.#spill?.[Symbol.asyncDispose]();
  }

  #diskStatus(): ChildStatus {
    const { name, failure } = this.#backing.node;
    const error = failure ?? this.#failedWrite() ?? this.#returnedWriter();
    return { nodeName: name, state: error === null ? 'ok' : 'failed', ...(error === null ? {} : { error }) };
  }

  #images(): Record<TakeOverImage, ImageAvailability> {
    const unavailable = (reason: string): ImageAvailability => ({ available: false, reason });
    switch (this.#state) {
      case 'running': {
        const { invalid } = this.#buffer.running;
        return {
          latest: availableWith(this.#doubtAboutLatest()),
          checkpoint:
            invalid === null ? availableWith(this.#doubtAboutCheckpoint()) : unavailable(`it was given up: ${invalid}`),
        };
      }
      case 'failed':
        return {
          latest: unavailable('a commit of image checkpoint has begun'),
          checkpoint: { available: true },
        };
      case 'none': {
        const images = unavailable('replication has not started since the daemon did');
        return { latest: images, checkpoint: images };
      }
      default: {
        const images = unavailable(
          this.#state === 'failover' ? 'a take-over is under way' : `replication has ended: ${this.#endedBy}`,
        );
        return { latest: images, checkpoint: images };
      }
    }
  }

  /** What may be missing from the disk although the primary has acknowledged it; null where nothing points to that. */
  #doubtAboutLatest(): string | null {
    const failed = this.#failedWrite();
    const alone = 'what the primary acknowledged since then, alone, is not in it';
    if (!this.#hasHadPrimary()) return `no primary has connected since the disk was exported: ${alone}`;
    if (failed !== null) return `${failed}: ${alone}`;
    const isGone = this.rootsToQuiesce().some(root => root.hasLostWriter);
    return isGone ? `the primary has gone: ${alone}, if it went on` : this.#returnedWriter();
  }

  #doubtAboutCheckpoint(): string | null {
    const hasCheckpoint = (this.#group?.checkpoint ?? 0) > 0;
    if (!hasCheckpoint) return 'no checkpoint was taken yet: it is the disk as it was when replication started';
    return this.#hasHadPrimary() ? null : 'no primary has connected since the disk was exported';
  }

  /** A daemon that was started again knows nothing of what its primary did meanwhile. */
  #hasHadPrimary(): boolean {
    return this.rootsToQuiesce().some(root => root.hasHadWriter);
  }

  /** A primary that connects again by itself, as QEMU does, has missed what it forwarded meanwhile and does not tell. */
  #returnedWriter(): string | null {
    if (this.#state !== 'running') return null;
    const root = this.rootsToQuiesce().find(
      candidate => !candidate.hasLostWriter && candidate.lostWriters > (this.#lostBefore.get(candidate) ?? 0),
    );
    if (root === undefined) return null;
    return `the primary lost its connection to ${root.name} and came back: what it acknowledged meanwhile is not here`;
  }

  /** Which write of the primary this host could not store. */
  #failedWrite(): string | null {
    const root = this.rootsToQuiesce().find(({ changeErrno }) => changeErrno !== 0);
    return root === undefined ? null : `a write of ${root.name} failed (${errnoName(root.changeErrno)})`;
  }

  #setState(state: ReplicationState, reason: string): void {
    this.#state = state;
    if (state === 'done') this.#endedBy = reason;
    this.#emit({ name: 'REPLICATION_STATE_CHANGE', data: { 'node-name': this.name, state, reason } });
  }
}

function availableWith(reason: string | null): ImageAvailability {
  return reason === null ? { available: true } : { available: true, reason };
}
