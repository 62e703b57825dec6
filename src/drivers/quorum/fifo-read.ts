/** FifoRead: reads from the children in order, until one has an answer. It keeps nothing: a request knows its child. */

import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { QuorumNode } from './quorum-node.ts';

export class FifoRead implements RequestOwner {
  readonly #node: QuorumNode;

  constructor(node: QuorumNode) {
    this.#node = node;
  }

  start(request: BlockRequest): void {
    this.#tryChild(request, 0);
  }

  requestDone(child: BlockRequest): void {
    const { tag, errno, parent } = child;
    releaseRequest(child);
    const request = parent as BlockRequest;
    const { edges, reports } = this.#node;
    if (errno !== 0) {
      reports.bad('read', this.#node.nameOf(tag), request.offset, request.length, errno);
      if (tag + 1 < edges.length) {
        this.#tryChild(request, tag + 1);
        return;
      }
    }
    request.complete(errno);
  }

  #tryChild(request: BlockRequest, index: number): void {
    const child = takeChildRequest(request, this);
    child.tag = index;
    (this.#node.edges[index] as BlockEdge).submit(child);
  }
}
