/**
 * ConsistencyGroup: the nodes that replicate, are checkpointed and end together.
 *
 * A checkpoint of several disks is one checkpoint: all of them reach it or none does. The group holds the checkpoint's
 * number and the order of the steps; what a step means is each node's (BlockNode's replication members).
 *
 *   idle ──prepare(n)──► preparing ──all vouch──► prepared(n) ──do(n)──► idle, checkpoint = n     (secondary)
 *     ▲                      │ one refuses             ├──resume(n)──► idle, checkpoint = n       (primary)
 *     └──────────────────────┴──abort(n), or the primary's hold expires──┘
 */

import type { Clock, Timer } from '../base/clock.ts';
import { EBUSY, ETIMEDOUT } from '../base/errno.ts';
import { ColobusError, UsageError } from '../base/errors.ts';
import type { BlockEventSink } from './block-event.ts';
import type { BlockNode } from './block-node.ts';
import { drainRoots } from './drain.ts';
import type { ReplicationRole, TakeOverImage } from './replication-status.ts';

export class ConsistencyGroup {
  readonly nodes: readonly BlockNode[];
  readonly role: ReplicationRole;
  readonly #clock: Clock;
  readonly #emit: BlockEventSink;
  #checkpoint = 0;
  #prepared: number | null = null;
  #preparing = false;
  #preparedAtMs = 0;
  /** The checkpoint whose hold expired last, for the answer to a late resume. */
  #expired: number | null = null;
  #holdTimer: Timer | null = null;
  #ended = false;

  private constructor(nodes: readonly BlockNode[], role: ReplicationRole, clock: Clock, emit: BlockEventSink) {
    this.nodes = nodes;
    this.role = role;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** Starts replication on all `nodes`, or on none and throws. */
  static start(nodes: readonly BlockNode[], clock: Clock, emit: BlockEventSink): ConsistencyGroup {
    const roles = new Set(nodes.map(roleOf));
    const [role] = roles;
    if (role === undefined || roles.size > 1) {
      throw new UsageError('Nodes that replicate together are all primary or all secondary; name one kind');
    }
    for (const node of nodes) node.checkStart();
    const group = new ConsistencyGroup(nodes, role, clock, emit);
    for (const node of nodes) node.startReplication(group);
    return group;
  }

  get names(): readonly string[] {
    return this.nodes.map(node => node.name);
  }

  /** The last checkpoint done; 0 after the start. */
  get checkpoint(): number {
    return this.#checkpoint;
  }

  get prepared(): number | null {
    return this.#prepared;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  /**
   * Prepares checkpoint `n` on all nodes, or on none and throws. On a primary, writes are then held until `resume`,
   * `abort` or `deadlineMs` after the call. A second prepare before the end of the first is refused.
   */
  async prepare(n: number, deadlineMs: number): Promise<void> {
    this.#refuseEnded();
    if (this.#preparing || this.#prepared !== null) {
      throw new ColobusError(
        `Checkpoint ${this.#prepared ?? n} of ${this.#listed()} is being prepared; do or abort it first`,
        { errno: EBUSY },
      );
    }
    if (n <= this.#checkpoint) {
      throw new UsageError(`Checkpoint ${n} of ${this.#listed()} is not larger than the last one, ${this.#checkpoint}`);
    }
    this.#preparing = true;
    this.#preparedAtMs = this.#clock.nowMs();
    try {
      const release = await drainRoots(
        () => this.nodes.flatMap(node => node.rootsToQuiesce()),
        deadlineMs,
        this.#clock,
      );
      try {
        await this.#prepareAll(n, deadlineMs);
      } finally {
        release();
      }
    } finally {
      this.#preparing = false;
    }
    this.#prepared = n;
    if (this.role === 'primary') {
      const remainingMs = this.#preparedAtMs + deadlineMs - this.#clock.nowMs();
      this.#holdTimer = this.#clock.after(Math.max(0, remainingMs), () => {
        this.abort(n);
        this.#expired = n;
      });
    }
  }

  /** Primary: lets the held writes go on, and counts the checkpoint as taken. Throws where the hold had expired. */
  resume(n: number): void {
    if (this.#expired === n && this.#prepared !== n) {
      throw new ColobusError(
        `The hold of checkpoint ${n} on ${this.#listed()} had expired; the checkpoint is void, abort it on the secondary`,
        { errno: ETIMEDOUT },
      );
    }
    this.#requirePrepared(n);
    for (const node of this.nodes) node.resumeReplication(n);
    if (this.role === 'primary') this.do(n);
  }

  /** Makes the prepared checkpoint `n` the current one, on all nodes in one step. Idempotent. */
  do(n: number): void {
    if (n === this.#checkpoint && this.#prepared === null && !this.#ended) return;
    this.#requirePrepared(n);
    for (const node of this.nodes) node.doCheckpoint(n);
    this.#checkpoint = n;
    this.#leavePrepared();
    this.#emit({
      name: 'REPLICATION_CHECKPOINT',
      data: {
        'node-names': this.names,
        checkpoint: n,
        'duration-us': Math.round((this.#clock.nowMs() - this.#preparedAtMs) * 1000),
      },
    });
  }

  /** Undoes the prepare of `n`; nothing happens where `n` is not prepared. */
  abort(n: number): void {
    if (this.#prepared !== n) return;
    for (const node of this.nodes) node.abortCheckpoint(n);
    this.#leavePrepared();
  }

  /**
   * Ends replication of all nodes, or of none and throws; with `image`, takes over with it. A take-over whose commit
   * failed can be tried again.
   */
  stop(image: TakeOverImage | null): void {
    const failed = this.nodes.filter(node => node.replicationStatus()?.state === 'failed');
    if (failed.length === 0) this.#refuseEnded();
    const nodes = this.#ended ? failed : this.nodes;
    for (const node of nodes) node.checkStop(image);
    if (this.#prepared !== null) this.abort(this.#prepared);
    for (const node of nodes) node.stopReplication(image);
    this.#ended = true;
  }

  /** All nodes prepare from this tick on; where one refuses, the others are let go again. */
  async #prepareAll(n: number, deadlineMs: number): Promise<void> {
    const results = await Promise.allSettled(this.nodes.map(node => node.prepareCheckpoint(n, deadlineMs)));
    const refusal = results.find(result => result.status === 'rejected');
    if (refusal === undefined) return;
    for (const [index, node] of this.nodes.entries()) {
      if (results[index]?.status === 'fulfilled') node.abortCheckpoint(n);
    }
    throw refusal.reason;
  }

  #leavePrepared(): void {
    this.#prepared = null;
    this.#holdTimer?.cancel();
    this.#holdTimer = null;
  }

  #requirePrepared(n: number): void {
    this.#refuseEnded();
    if (this.#prepared !== n) {
      const state = this.#prepared === null ? `the last one is ${this.#checkpoint}` : `${this.#prepared} is prepared`;
      throw new ColobusError(`Checkpoint ${n} of ${this.#listed()} is not prepared; ${state}`, { errno: EBUSY });
    }
  }

  #refuseEnded(): void {
    if (this.#ended) throw new ColobusError(`Replication of ${this.#listed()} has ended`, { errno: EBUSY });
  }

  #listed(): string {
    return this.names.map(name => `'${name}'`).join(', ');
  }
}

function roleOf(node: BlockNode): ReplicationRole {
  const status = node.replicationStatus();
  if (status === null) {
    throw new UsageError(`Node '${node.name}' does not replicate; name a replication or a colo-buffer node`);
  }
  return status.role;
}
