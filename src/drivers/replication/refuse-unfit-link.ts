/** Which nodes cannot be a copy on another host. */

import { UsageError } from '../../base/errors.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { refuseReconnecting } from '../refuse-reconnecting.ts';

/** Throws UsageError where `node`, or one below it, connects again by itself or has several connections. */
export function refuseUnfitLink(node: BlockNode): void {
  refuseReconnecting(node, 'a copy of a replicated disk');
  refuseParallelLink(node);
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
