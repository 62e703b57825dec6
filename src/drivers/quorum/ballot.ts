/**
 * Ballot: one change, flush or read-ahead on its way to all children, and their answers.
 *
 * It is the owner of the child requests; what follows from the answers is its node's to decide.
 */

import type { BlockEdge } from '../../block/block-edge.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { ByteRange } from '../../block/overlap-tracker.ts';

/** Told about the answers. */
export interface BallotSupervisor {
  /** A child did not do its part, with `child.errno`; the request is given back afterwards. */
  childFailed(ballot: Ballot, child: BlockRequest): void;
  /** All children have answered. */
  ballotEnded(ballot: Ballot): void;
  /** The children that a ballot goes to. */
  readonly edges: readonly BlockEdge[];
}

export class Ballot implements RequestOwner, ByteRange {
  /** The request it serves, while there is one. */
  request: BlockRequest | null = null;
  offset = 0;
  length = 0;
  /** What each child answered, by its index. */
  readonly errnos: number[] = [];
  /** A flush: the misses that it covers if it succeeds (see unflushed-misses.ts). */
  position = 0;
  readonly #supervisor: BallotSupervisor;
  #outstanding = 0;

  constructor(supervisor: BallotSupervisor) {
    this.#supervisor = supervisor;
  }

  begin(request: BlockRequest): void {
    this.request = request;
    this.offset = request.offset;
    this.length = request.length;
  }

  /** Sends the request to all children. */
  proceed(): void {
    const { edges } = this.#supervisor;
    // All of them count before the first is sent to, so that an answer at once does not end the ballot.
    this.#outstanding = edges.length;
    this.errnos.length = edges.length;
    for (let i = 0; i < edges.length; i++) this.#sendTo(edges[i] as BlockEdge, i);
  }

  /** A discard is a writing of zeroes that may unmap: what it left would else differ from child to child. */
  #sendTo(edge: BlockEdge, index: number): void {
    const child = takeChildRequest(this.request as BlockRequest, this);
    child.tag = index;
    if (child.kind === 'discard') {
      child.kind = 'write-zeroes';
      child.mayUnmap = true;
    }
    edge.submit(child);
  }

  requestDone(child: BlockRequest): void {
    this.errnos[child.tag] = child.errno;
    if (child.errno !== 0) this.#supervisor.childFailed(this, child);
    releaseRequest(child);
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#supervisor.ballotEnded(this);
  }

  get successes(): number {
    let count = 0;
    for (let i = 0; i < this.errnos.length; i++) if (this.errnos[i] === 0) count += 1;
    return count;
  }
}
