/** A node as the commands on bitmaps name it. */

import { UsageError } from '../base/errors.ts';
import type { BlockGraph } from '../block/block-graph.ts';
import type { BlockNode } from '../block/block-node.ts';

/** The node called `name`; throws UsageError in the words QEMU has where a bitmap is looked for. */
export function findNode(graph: BlockGraph, name: string): BlockNode {
  const node = graph.find(name);
  if (node === undefined) throw new UsageError(`Node '${name}' not found`);
  return node;
}
