/** Hurry: somebody waits for requests, so nodes hold none back of their own accord, as a throttle node does. */

import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import type { BlockBackend } from './block-backend.ts';
import type { BlockNode } from './block-node.ts';
import { nodesBelow } from './nodes-below.ts';

export class Hurry {
  readonly #nodes = new Set<BlockNode>();

  /** From now on nothing is held back in `node` and below it, also what comes there later. */
  add(node: BlockNode): void {
    for (const below of nodesBelow(node)) {
      if (this.#nodes.has(below)) continue;
      this.#nodes.add(below);
      below.beginHurry();
    }
  }

  /** The nodes go at their own pace again. */
  end(): void {
    for (const node of this.#nodes) node.endHurry();
    this.#nodes.clear();
  }
}

/** Waits in a hurry until nothing of `root` is in flight. Throws ETIMEDOUT with `message` where something stays. */
export async function idleInTime(root: BlockBackend, deadlineMs: number, clock: Clock, message: string): Promise<void> {
  const hurry = new Hurry();
  hurry.add(root.node);
  try {
    await withDeadline(root.idle(), deadlineMs, clock, message);
  } finally {
    hurry.end();
  }
}
