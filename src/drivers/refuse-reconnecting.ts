/** What replication may not stand on: a disk that connects again by itself. */

import { UsageError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';

/**
 * Throws UsageError where `node`, or one below it, connects again by itself. Such a disk would hide the writes that it
 * missed, or forgot: a server that dies takes with it what it had acknowledged and not flushed. `role` says what the
 * node is to be, such as "a copy of a replicated disk".
 */
export function refuseReconnecting(node: BlockNode, role: string): void {
  // A node that passes requests on has what its child has; the message is to name the one with the option.
  for (const edge of node.children.values()) refuseReconnecting(edge.node, role);
  if (node.limits.reconnects === true) {
    throw new UsageError(
      `Node '${node.name}' connects again by itself, which ${role} must not; set its reconnect-delay to 0`,
    );
  }
}
