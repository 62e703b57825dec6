/** OverlayRead: a read of an overlay, in pieces from the storage and the backing. */

import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { OverlayNode } from './overlay-node.ts';

export class OverlayRead implements RequestOwner {
  readonly #node: OverlayNode;
  readonly #request: BlockRequest;
  /** Pieces on their way, and one more until all have been sent. */
  #pending = 1;
  #errno = 0;

  constructor(node: OverlayNode, request: BlockRequest) {
    this.#node = node;
    this.#request = request;
  }

  start(): void {
    const request = this.#request;
    for (let done = 0; done < request.length; ) {
      const run = this.#node.runAt(request.offset + done, request.length - done);
      const piece = takeChildRequest(request, this);
      piece.offset += done;
      piece.at += done;
      piece.length = run.length;
      done += run.length;
      this.#pending += 1;
      run.edge.submit(piece);
    }
    this.#pieceEnded();
  }

  requestDone(piece: BlockRequest): void {
    this.#errno ||= piece.errno;
    releaseRequest(piece);
    this.#pieceEnded();
  }

  #pieceEnded(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#request.complete(this.#errno);
  }
}
