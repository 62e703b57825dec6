/** What a primary watches and tells of its copies. */

import type { BlockNode } from '../../block/block-node.ts';
import type { ChildStatus, ImageAvailability, TakeOverImage } from '../../block/replication-status.ts';

/** Has `listener` learn at once, without a request, that `node` or one below it can store nothing any more. */
export function onFailureBelow(node: BlockNode, listener: (reason: string) => void): void {
  node.onFailure(listener);
  for (const edge of node.children.values()) onFailureBelow(edge.node, listener);
}

/** How the copy on `node` is, with the first thing that went wrong with it. */
export function childStatus(node: BlockNode, error: string | null): ChildStatus {
  return { nodeName: node.name, state: error === null ? 'ok' : 'failed', ...(error === null ? {} : { error }) };
}

/** A primary has no image to take over with. */
export function imagesOfPrimary(): Record<TakeOverImage, ImageAvailability> {
  const none = { available: false, reason: 'this host is the primary; its own disk is the one in use' };
  return { latest: none, checkpoint: none };
}
