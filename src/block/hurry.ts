/** Hurry: somebody waits for requests, so nodes hold none back of their own accord, as a throttle node does. */

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
