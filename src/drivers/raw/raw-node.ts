/** RawNode: a window of another node: `size` bytes from `offset` on. */

import { UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { filterPermissions } from '../../block/block-graph.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { FilterNode } from '../../block/filter-node.ts';
import { type RawOptions, rawOptions } from './options.ts';

export class RawNode extends FilterNode implements RequestOwner {
  readonly #offset: number;

  private constructor(file: BlockEdge, { offset, size }: RawOptions, context: OpenContext) {
    const isWhole = offset === 0 && size === undefined;
    const lengthBytes = size ?? Math.max(file.node.lengthBytes - offset, 0);
    checkWindow(context.nodeName, file.node, offset, lengthBytes);
    super({
      name: context.nodeName,
      driver: 'raw',
      readOnly: context.readOnly,
      image: file,
      ...(isWhole ? {} : { lengthBytes }),
    });
    this.#offset = offset;
  }

  /** Throws UsageError where the window does not lie within the child. */
  static async open(options: RawOptions, context: OpenContext): Promise<RawNode> {
    const file = await context.attach('file', options.file, filterPermissions(context.readOnly));
    return new RawNode(file, options, context);
  }

  protected override perform(request: BlockRequest): void {
    const child = takeChildRequest(request, this);
    child.offset += this.#offset;
    this.image.submit(child);
  }

  requestDone(child: BlockRequest): void {
    const { errno, errorAt, parent } = child;
    releaseRequest(child);
    if (parent === null) return;
    if (errorAt >= 0) parent.errorAt = errorAt - this.#offset;
    parent.complete(errno);
  }
}

function checkWindow(name: string, file: BlockNode, offset: number, size: number): void {
  if (offset > file.lengthBytes || size > file.lengthBytes - offset) {
    throw new UsageError(
      `Node '${name}': ${size} bytes from ${offset} on do not lie within node '${file.name}' of ${file.lengthBytes} bytes`,
    );
  }
  const { requestAlignment } = file.limits;
  if (offset % requestAlignment !== 0 || size % requestAlignment !== 0) {
    throw new UsageError(
      `Node '${name}': offset and size must be multiples of ${requestAlignment}, the alignment of node '${file.name}'`,
    );
  }
}

export const rawDriver: Driver<RawOptions> = {
  name: 'raw',
  isReadOnlyWithChild: true,
  summary: 'A window of another node',
  options: rawOptions,
  open: RawNode.open,
};
