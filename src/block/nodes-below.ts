/** The part of the graph below a node. */

import type { BlockNode } from './block-node.ts';

/** The nodes that requests to `node` can reach, itself included. */
export function nodesBelow(node: BlockNode, found: Set<BlockNode> = new Set()): Set<BlockNode> {
  found.add(node);
  for (const edge of node.children.values()) nodesBelow(edge.node, found);
  return found;
}
