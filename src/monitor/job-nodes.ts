/** The nodes that jobs copy from and to: refused where a job would break what they are part of. */

import { UsageError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';
import { nodesBelow } from '../block/nodes-below.ts';

/** Throws UsageError where a node lies above `node`, or another job changes who uses it. */
export function requireRoot(node: BlockNode): void {
  if (node.interceptor !== null) throw new UsageError(`Need a root block node: '${node.name}' is mirrored by a job`);
  const above = [...node.parents].find(edge => edge.parent !== null);
  if (above === undefined) return;
  throw new UsageError(`Need a root block node: '${node.name}' is used by ${above.holder}`);
}

/** Throws UsageError where what is read from `node` changes other than by writes to it. */
export function requireSteadySource(node: BlockNode): void {
  for (const below of nodesBelow(node)) {
    if (replicatesAs(below) !== 'secondary') continue;
    throw new UsageError(
      `Node '${below.name}' replicates: its content changes with every checkpoint, and a job would copy a mixture; ` +
        'send replication-stop first',
    );
  }
}

/** Throws UsageError where the users of `node` must not go over to another node. */
export function requireReplaceable(node: BlockNode): void {
  for (const below of nodesBelow(node)) {
    if (replicatesAs(below) === null) continue;
    throw new UsageError(
      `Node '${below.name}' replicates: users that go over to a copy would pass it by; send replication-stop first, ` +
        'or take a copy with blockdev-backup',
    );
  }
}

/** Throws UsageError where a job must not write to `node`. `user` is the node whose backing it may be. */
export function requireTarget(node: BlockNode, user: BlockNode | null = null): void {
  for (const below of nodesBelow(node)) {
    if (replicatesAs(below) !== 'secondary') continue;
    throw new UsageError(`Node '${below.name}' replicates: what a job writes to it would go with the next checkpoint`);
  }
  for (const above of nodesAbove(node)) {
    const status = above === node ? null : above.replicationStatus();
    if (status === null || status.state === 'done') continue;
    throw new UsageError(`Node '${node.name}' belongs to '${above.name}', which replicates: a job cannot write to it`);
  }
  for (const edge of node.parents) {
    if (edge.role !== 'backing' || edge.parent === null || edge.parent === user) continue;
    throw new UsageError(`Node '${node.name}' is busy: node is used as backing hd of '${edge.parent.name}'`);
  }
}

/** The part that `node` has in replication that is under way; null where it has none. */
function replicatesAs(node: BlockNode): 'primary' | 'secondary' | null {
  const status = node.replicationStatus();
  return status === null || status.state === 'none' || status.state === 'done' ? null : status.role;
}

/** The nodes whose requests can reach `node`, itself included. */
function nodesAbove(node: BlockNode, found: Set<BlockNode> = new Set()): Set<BlockNode> {
  found.add(node);
  for (const { parent } of node.parents) if (parent !== null) nodesAbove(parent, found);
  return found;
}
