/** RequestPolicy: what a node makes of requests before its driver sees them, as its options `discard` and `detect-zeroes` say. */

import type { BlockNode } from './block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from './block-request.ts';

/** `ignore`: discards succeed without effect, and zeroes take space. */
export type DiscardPolicy = 'ignore' | 'unmap';
/** Writes of zeroes become write-zeroes; with `unmap` these may leave holes. */
export type ZeroDetection = 'off' | 'on' | 'unmap';

const ZEROES = Buffer.alloc(64 * 1024);

export class RequestPolicy implements RequestOwner {
  readonly discard: DiscardPolicy;
  readonly detectZeroes: ZeroDetection;
  readonly #node: BlockNode;

  constructor(node: BlockNode, discard: DiscardPolicy, detectZeroes: ZeroDetection) {
    this.#node = node;
    this.discard = discard;
    this.detectZeroes = detectZeroes;
  }

  /** Carries out a checked request in another way; false where it is the driver's as it is. */
  take(request: BlockRequest): boolean {
    switch (request.kind) {
      case 'discard':
        if (this.discard !== 'ignore') return false;
        request.complete(0);
        return true;
      case 'write-zeroes':
        if (this.discard === 'ignore') request.mayUnmap = false;
        return false;
      case 'write':
        if (this.detectZeroes === 'off' || !isZero(request)) return false;
        this.#writeZeroes(request);
        return true;
      default:
        return false;
    }
  }

  requestDone(child: BlockRequest): void {
    const { parent, errno } = child;
    releaseRequest(child);
    parent?.complete(errno);
  }

  #writeZeroes(request: BlockRequest): void {
    const child = takeChildRequest(request, this);
    child.kind = 'write-zeroes';
    child.mayUnmap = this.detectZeroes === 'unmap';
    child.markSubmitted();
    this.#node.receive(child);
  }
}

function isZero({ buffer, at, length }: BlockRequest): boolean {
  const end = at + length;
  for (let start = at; start < end; start += ZEROES.length) {
    const bytes = Math.min(ZEROES.length, end - start);
    if (buffer[start] !== 0 || ZEROES.compare(buffer, start, start + bytes, 0, bytes) !== 0) return false;
  }
  return true;
}
