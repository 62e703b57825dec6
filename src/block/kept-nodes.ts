/** KeptNodes: the nodes that changes under way need, which nobody closes meanwhile. A node may be kept several times. */

import type { BlockNode } from './block-node.ts';

export class KeptNodes {
  readonly #counts = new Map<BlockNode, number>();

  has(node: BlockNode): boolean {
    return this.#counts.has(node);
  }

  keep(node: BlockNode): void {
    this.#counts.set(node, (this.#counts.get(node) ?? 0) + 1);
  }

  /** Ends one `keep`. */
  letGo(node: BlockNode): void {
    const left = (this.#counts.get(node) ?? 0) - 1;
    if (left > 0) this.#counts.set(node, left);
    else this.#counts.delete(node);
  }
}
