/** Opens a ReplicationNode: Colobus's own form of the driver. */

import { UsageError } from '../../base/errors.ts';
import { type BlockEdge, READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { NodeReference, OpenContext } from '../../block/driver.ts';
import type { OnRemoteError } from './options.ts';
import { refuseUnfitLink } from './refuse-unfit-link.ts';
import { ReplicationNode } from './replication-node.ts';

/** Throws UsageError where the children are of different sizes or one cannot be a copy. */
export async function openMirror(
  children: readonly NodeReference[],
  onRemoteError: OnRemoteError,
  context: OpenContext,
): Promise<ReplicationNode> {
  const edges: BlockEdge[] = [];
  for (const [index, reference] of children.entries()) {
    edges.push(await context.attach(`children.${index}`, reference, context.readOnly ? READ_SHARED : WRITE_EXCLUSIVE));
  }
  for (const edge of edges) {
    requireEqualLengths(edges[0] as BlockEdge, edge);
    refuseUnfitLink(edge.node);
  }
  return new ReplicationNode({
    name: context.nodeName,
    readOnly: context.readOnly,
    edges,
    onRemoteError,
    clock: context.clock,
    emit: context.emit,
  });
}

function requireEqualLengths(local: BlockEdge, other: BlockEdge): void {
  if (local.node.lengthBytes === other.node.lengthBytes) return;
  throw new UsageError(
    `Node '${other.node.name}' has ${other.node.lengthBytes} bytes and node '${local.node.name}' has ` +
      `${local.node.lengthBytes}; the copies of a disk must be of one size`,
  );
}
