/** FilterNode: a node over one image, as large as that image and writable where that is. */

import { UsageError } from '../base/errors.ts';
import type { BlockEdge } from './block-edge.ts';
import { filterPermissions } from './block-graph.ts';
import { BlockNode, type NodeDescription } from './block-node.ts';

export type FilterDescription = Omit<NodeDescription, 'children' | 'lengthBytes'> & {
  readonly image: BlockEdge;
  /** The image's unless given: the node is then a part of it and keeps its size. */
  readonly lengthBytes?: number;
};

export abstract class FilterNode extends BlockNode {
  protected readonly image: BlockEdge;
  readonly #isPart: boolean;

  constructor({ image, ...description }: FilterDescription) {
    super({
      lengthBytes: image.node.lengthBytes,
      limits: image.node.limits,
      filename: image.node.filename,
      ...description,
      children: [image],
    });
    this.image = image;
    this.#isPart = description.lengthBytes !== undefined;
  }

  override async resize(lengthBytes: number): Promise<void> {
    if (this.#isPart) throw new UsageError('Cannot resize when offset or size is specified');
    const { node, permissions } = this.image;
    this.image.setPermissions({ ...permissions, resize: true });
    try {
      await node.resize(lengthBytes);
    } finally {
      this.image.setPermissions(permissions);
    }
    this.resized(lengthBytes);
  }

  override async setReadOnly(readOnly: boolean): Promise<void> {
    if (readOnly) this.checkNoWriters();
    this.image.setPermissions(filterPermissions(readOnly));
    this.readOnlyChanged(readOnly);
  }
}
