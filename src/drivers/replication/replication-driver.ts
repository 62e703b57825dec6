/** The `replication` driver: opens the primary's disk over a local and one or more remote children. */

import { UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockNode } from '../../block/block-node.ts';
import type { Driver } from '../../block/driver.ts';
import { refuseReconnecting } from '../refuse-reconnecting.ts';
import { type ReplicationOptions, replicationOptions } from './options.ts';
import { ReplicationNode } from './replication-node.ts';

export const replicationDriver: Driver<ReplicationOptions> = {
  name: 'replication',
  summary: 'writes to all children, reads from the first: the primary of a replicated disk',
  options: replicationOptions,
  async open(options, context) {
    const edges: BlockEdge[] = [];
    for (const [index, reference] of options.children.entries()) {
      edges.push(
        await context.attach(`children.${index}`, reference, context.readOnly ? READ_SHARED : WRITE_EXCLUSIVE),
      );
    }
    for (const edge of edges) {
      requireEqualLengths(edges[0] as BlockEdge, edge);
      refuseReconnecting(edge.node, 'a copy of a replicated disk');
      refuseParallelLink(edge.node);
    }
    return new ReplicationNode({
      name: context.nodeName,
      readOnly: context.readOnly,
      edges,
      onRemoteError: options['on-remote-error'],
      clock: context.clock,
      emit: context.emit,
    });
  },
};

function requireEqualLengths(local: BlockEdge, other: BlockEdge): void {
  if (local.node.lengthBytes === other.node.lengthBytes) return;
  throw new UsageError(
    `Node '${other.node.name}' has ${other.node.lengthBytes} bytes and node '${local.node.name}' has ` +
      `${local.node.lengthBytes}; the copies of a disk must be of one size`,
  );
}

/** Of a link that is several connections one may be lost before the others, and the secondary counts by connection. */
function refuseParallelLink(node: BlockNode): void {
  if (node.limits.isParallel === true) {
    throw new UsageError(
      `Node '${node.name}' has several connections, of which a copy of a replicated disk must have one; set its connections to 1`,
    );
  }
  for (const edge of node.children.values()) refuseParallelLink(edge.node);
}
