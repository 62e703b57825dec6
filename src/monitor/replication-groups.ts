/**
 * ReplicationGroups: which nodes of a daemon replicate together, and the replication commands on them.
 *
 * A command names all nodes of a group, in any order: a checkpoint or a take-over of half a group would tear it.
 */

import type { Clock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import type { BlockEventSink } from '../block/block-event.ts';
import type { BlockGraph } from '../block/block-graph.ts';
import type { BlockNode } from '../block/block-node.ts';
import { ConsistencyGroup } from '../block/consistency-group.ts';
import type { ReplicationStatus } from '../block/replication-status.ts';
import { StandbyNode } from '../drivers/replication/standby-node.ts';

export class ReplicationGroups {
  readonly #graph: BlockGraph;
  readonly #clock: Clock;
  readonly #emit: BlockEventSink;
  readonly #groups = new Map<BlockNode, ConsistencyGroup>();

  constructor(graph: BlockGraph, clock: Clock, emit: BlockEventSink) {
    this.#graph = graph;
    this.#clock = clock;
    this.#emit = emit;
  }

  /** Starts replication of the named nodes as one group, or of none and throws. */
  start(names: readonly string[]): void {
    const nodes = this.nodesOf(names);
    for (const node of nodes) {
      const group = this.#groups.get(node);
      if (group !== undefined && !group.hasEnded) throw new UsageError(`Replication of node '${node.name}' is running`);
    }
    const group = ConsistencyGroup.start(nodes, this.#clock, this.#emit);
    for (const node of nodes) this.#groups.set(node, group);
  }

  /** The nodes that replicate under `names`: of QEMU's standby that is the buffer below it. */
  nodesOf(names: readonly string[]): readonly BlockNode[] {
    if (names.length === 0) throw new UsageError("Parameter 'nodes' names no node");
    const nodes = names.map(name => {
      const node = this.#graph.node(name);
      return node instanceof StandbyNode ? node.buffer : node;
    });
    if (new Set(nodes).size < names.length) throw new UsageError("Parameter 'nodes' names a node twice");
    return nodes;
  }

  /** The group of exactly the named nodes; throws UsageError where they are none, only part of one, or of several. */
  groupOf(names: readonly string[]): ConsistencyGroup {
    const nodes = this.nodesOf(names);
    const [first] = nodes as [BlockNode];
    const group = this.groupWith(first);
    for (const node of nodes) {
      if (this.groupWith(node) !== group) {
        throw new UsageError(
          `Nodes '${first.name}' and '${node.name}' do not replicate together; name the nodes of one group`,
        );
      }
    }
    const missing = group.nodes.filter(node => !nodes.includes(node));
    if (missing.length > 0) {
      throw new UsageError(
        `Node '${first.name}' replicates together with ${listed(missing)}; name all nodes of the group`,
      );
    }
    return group;
  }

  /** The group of `node`; throws UsageError where it has not started. */
  groupWith(node: BlockNode): ConsistencyGroup {
    const group = this.#groups.get(node);
    if (group === undefined) {
      throw new UsageError(`Replication of node '${node.name}' has not started; send replication-start first`);
    }
    return group;
  }

  /** The groups whose replication has not ended. */
  running(): readonly ConsistencyGroup[] {
    return [...new Set(this.#groups.values())].filter(group => !group.hasEnded);
  }

  /**
   * Throws UsageError while `node` takes part in running replication; afterwards it can be removed. Of a primary that
   * nobody writes to any more, replication ends here, as QEMU ends it with the node.
   */
  refuseRemoval(node: BlockNode): void {
    const group = this.#groups.get(node);
    if (group === undefined) return;
    const isIdle = group.role === 'primary' && group.nodes.every(member => member.parents.size === 0);
    if (!group.hasEnded && isIdle) group.stop(null);
    if (!group.hasEnded) {
      throw new UsageError(`Node '${node.name}' is in use by replication; send replication-stop first`);
    }
    this.#groups.delete(node);
  }

  /** Where every node that can replicate stands. */
  statuses(): readonly ReplicationStatus[] {
    return this.#graph.nodes().flatMap(node => node.replicationStatus() ?? []);
  }
}

function listed(nodes: readonly BlockNode[]): string {
  return nodes.map(node => `'${node.name}'`).join(', ');
}
