/** Doing something while nothing is written to a node. */

import type { Clock } from '../base/clock.ts';
import type { BlockNode } from '../block/block-node.ts';
import { drainRoots, rootsAbove } from '../block/drain.ts';

const DRAIN_DEADLINE_MS = 5000;

/** Calls `act` while no request is in flight on `node`. Throws ETIMEDOUT, without having called it, where one stays. */
export async function whileDrained(node: BlockNode, clock: Clock, act: () => unknown): Promise<void> {
  const release = await drainRoots(rootsAbove(node), DRAIN_DEADLINE_MS, clock);
  try {
    act();
  } finally {
    release();
  }
}
