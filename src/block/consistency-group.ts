/**
 * ConsistencyGroup: the nodes that replicate, are checkpointed and end together.
 *
 * A checkpoint of several disks is one checkpoint: all of them reach it or none does. The group holds the checkpoint's
 * number and the order of the steps; what a step means is each node's (BlockNode's replication members).
 *
 *   idle ──prepare(n)──► preparing ──all answered──► prepared(n) ──do(n)──► idle, checkpoint = n
 *     ▲                      │ any refused               │
 *     └──────────────────────┴────────abort(n)───────────┘
 */

import type { Clock } from '../base/clock.ts';
import { EBUSY } from '../base/errno.ts';
import { ColobusError, UsageError } from '../base/errors.ts';
import type { BlockEventSink } from './block-event.ts';
import type { BlockNode } from './block-node.ts';
import type { TakeOverImage } from './replication-status.ts';

export class ConsistencyGroup {
  readonly nodes: readonly BlockNode[];
  readonly #clock: Clock;
  readonly #emit: BlockEventSink;
  #checkpoint = 0;
  #prepared: number | null = null;
  #preparing = false;
  #preparedAtMs = 0;
  #ended = false;

  private constructor(nodes: readonly BlockNode[], clock: Clock, emit: BlockEventSink) {
    this.nodes = nodes;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** Starts replication on all `nodes`, or on none and throws. */
  static async start(nodes: readonly BlockNode[], clock: Clock, emit: BlockEventSink): Promise<ConsistencyGroup> {
    const group = new ConsistencyGroup(nodes, clock, emit);
    const started: BlockNode[] = [];
    try {
      for (const node of nodes) {
        node.startReplication(group);
        started.push(node);
      }
    } catch (error) {
      for (const node of started) await node.stopReplication(null, 0);
      throw error;
    }
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

  /** Prepares checkpoint `n` on all nodes, or on none and throws. A second prepare before do or abort is refused. */
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
    const results = await Promise.allSettled(this.nodes.map(node => node.prepareCheckpoint(n, deadlineMs)));
    this.#preparing = false;
    const refusal = results.find(result => result.status === 'rejected');
    if (refusal !== undefined) {
      for (const node of this.nodes) node.abortCheckpoint(n);
      throw refusal.reason;
    }
    this.#prepared = n;
  }

  /** Lets the held writes of a prepared primary go on; throws where the hold had expired. */
  resume(n: number): void {
    this.#requirePrepared(n);
    for (const node of this.nodes) node.resumeReplication(n);
  }

  /** Makes the prepared checkpoint `n` the current one, on all nodes in one step. Idempotent. */
  do(n: number): void {
    if (n === this.#checkpoint && this.#prepared === null && !this.#ended) return;
    this.#requirePrepared(n);
    for (const node of this.nodes) node.doCheckpoint(n);
    this.#checkpoint = n;
    this.#prepared = null;
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
    this.#prepared = null;
  }

  /** Ends replication; with `image`, takes over with it. Can be tried again where it throws. */
  async stop(image: TakeOverImage | null, deadlineMs: number): Promise<void> {
    this.#refuseEnded();
    if (this.#prepared !== null) this.abort(this.#prepared);
    for (const node of this.nodes) await node.stopReplication(image, deadlineMs);
    this.#ended = true;
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
