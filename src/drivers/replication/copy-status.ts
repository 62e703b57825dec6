/** What a primary watches and tells of its copies. */

import { EBUSY } from '../../base/errno.ts';
import { ColobusError } from '../../base/errors.ts';
import type { BlockNode } from '../../block/block-node.ts';
import type {
  ChildStatus,
  ImageAvailability,
  ReplicationState,
  TakeOverImage,
} from '../../block/replication-status.ts';
import type { RemoteCopy } from './remote-copy.ts';

/** Has `listener` learn at once, without a request, that `node` or one below it can store nothing any more. */
export function onFailureBelow(node: BlockNode, listener: (reason: string) => void): void {
  node.onFailure(listener);
  for (const edge of node.children.values()) onFailureBelow(edge.node, listener);
}

/** Throws where a primary cannot start: it has been replicating, or a copy is not connected. */
export function refuseStart(nodeName: string, state: ReplicationState, copies: readonly RemoteCopy[]): void {
  if (state !== 'none') {
    throw new ColobusError(`Node '${nodeName}' has been replicating; add a new node to start again`, { errno: EBUSY });
  }
  const lost = copies.find(copy => copy.error !== null);
  if (lost !== undefined) {
    throw new ColobusError(`Node '${lost.edge.node.name}' is not connected: ${lost.error}; add it anew`);
  }
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
