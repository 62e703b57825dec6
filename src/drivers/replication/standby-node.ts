/**
 * StandbyNode: QEMU's replication with mode=secondary, over a `colo-buffer` that takes the place of its two overlays.
 *
 * The buffer below does the work and takes part in replication; this node only keeps the gate of QEMU's: before
 * replication starts neither reads nor writes pass.
 */

import { EIO } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { filterPermissions } from '../../block/block-graph.ts';
import { BlockNode } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { NodeReference, OpenContext } from '../../block/driver.ts';
import { ColoBufferNode } from '../colo-buffer/colo-buffer-node.ts';

export class StandbyNode extends BlockNode {
  /** The node through which the standby uses the disk. */
  readonly topId: string;
  readonly buffer: ColoBufferNode;
  readonly #file: BlockEdge;

  private constructor(file: BlockEdge, buffer: ColoBufferNode, topId: string, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'replication',
      lengthBytes: buffer.lengthBytes,
      readOnly: context.readOnly,
      limits: buffer.limits,
      filename: buffer.filename,
      children: [file],
    });
    this.topId = topId;
    this.buffer = buffer;
    this.#file = file;
  }

  /** Throws UsageError where `file` is not a colo-buffer. */
  static async open(file: NodeReference, topId: string, context: OpenContext): Promise<StandbyNode> {
    const edge = await context.attach('file', file, filterPermissions(context.readOnly));
    const { node } = edge;
    if (!(node instanceof ColoBufferNode)) {
      throw new UsageError(
        `Node '${node.name}' is of driver ${node.driver}; the file of a secondary is a colo-buffer, ` +
          'in place of the active and the hidden disk',
      );
    }
    return new StandbyNode(edge, node, topId, context);
  }

  /** Throws, in QEMU's words, where `top`, the node called `topId`, is none that leads to this node from the very top. */
  requireTop(top: BlockNode | undefined): void {
    const isRoot = top !== undefined && [...top.parents].every(edge => edge.parent === null);
    if (!isRoot || !leadsTo(top, this)) throw new ColobusError('No top_bs or it is invalid');
  }

  protected override perform(request: BlockRequest): void {
    const isGated = request.changesData || request.kind === 'read';
    if (isGated && this.buffer.state === 'none') request.complete(EIO);
    else this.#file.submit(request);
  }

  override checkRelink(edge: BlockEdge): void {
    throw new UsageError(
      `Node '${edge.node.name}' is the buffer of the standby '${this.name}' and cannot be replaced by another node`,
    );
  }

  override async resize(): Promise<void> {
    throw new UsageError(`Node '${this.name}' is replicated: its disk keeps the size it has`);
  }
}

function leadsTo(from: BlockNode, node: BlockNode): boolean {
  return from === node || [...from.children.values()].some(edge => leadsTo(edge.node, node));
}
