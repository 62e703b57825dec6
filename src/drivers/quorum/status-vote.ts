/** StatusVote: a block-status of a quorum: zero is what all children say is zero, and everything else is data. */

import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import { EXTENT_ZERO, ExtentList } from '../../block/extent-list.ts';
import type { QuorumNode } from './quorum-node.ts';

export class StatusVote implements RequestOwner {
  readonly #node: QuorumNode;
  readonly #request: BlockRequest;
  readonly #lists: ExtentList[] = [];
  #outstanding = 0;
  #someFailed = false;

  constructor(node: QuorumNode, request: BlockRequest) {
    this.#node = node;
    this.#request = request;
  }

  start(): void {
    const { edges } = this.#node;
    this.#outstanding = edges.length;
    for (let i = 0; i < edges.length; i++) {
      const child = takeChildRequest(this.#request, this);
      child.tag = i;
      child.extents = new ExtentList();
      this.#lists.push(child.extents);
      (edges[i] as BlockEdge).submit(child);
    }
  }

  requestDone(child: BlockRequest): void {
    const { errno, offset, length, tag } = child;
    releaseRequest(child);
    if (errno !== 0) {
      this.#someFailed = true;
      this.#node.reports.bad('read', this.#node.nameOf(tag), offset, length, errno);
    }
    this.#outstanding -= 1;
    if (this.#outstanding > 0) return;
    // What a child does not tell of may be data.
    if (this.#someFailed) this.#request.extents?.append(this.#request.length, 0);
    else agree(this.#lists, this.#request.extents as ExtentList);
    this.#request.complete(0);
  }
}

/** Appends to `answer` what all of `lists` say, up to where the shortest ends. */
function agree(lists: readonly ExtentList[], answer: ExtentList): void {
  const end = Math.min(...lists.map(list => list.totalBytes));
  /** Of each list: the extent that is being looked at, and where it ends. */
  const indices = lists.map(() => 0);
  const ends = lists.map(list => list.lengths[0] as number);
  for (let at = 0; at < end; ) {
    let flags = -1;
    let next = end;
    lists.forEach((list, i) => {
      while ((ends[i] as number) <= at) {
        const index = (indices[i] as number) + 1;
        indices[i] = index;
        ends[i] = (ends[i] as number) + (list.lengths[index] as number);
      }
      flags &= list.flags[indices[i] as number] as number;
      next = Math.min(next, ends[i] as number);
    });
    answer.append(next - at, (flags & EXTENT_ZERO) === 0 ? 0 : flags);
    at = next;
  }
}
