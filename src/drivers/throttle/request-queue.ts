/** RequestQueue: first in, first out. As long as what clients may have in flight, which their servers limit. */

import type { BlockRequest } from '../../block/block-request.ts';

/** Places that were left are given up when they are so many, and half of the queue. */
const MAX_LEFT = 64;

export class RequestQueue {
  readonly #places: (BlockRequest | null)[] = [];
  #first = 0;

  get length(): number {
    return this.#places.length - this.#first;
  }

  push(request: BlockRequest): void {
    this.#places.push(request);
  }

  /** Takes the request that came first; there is one. */
  shift(): BlockRequest {
    const request = this.#places[this.#first] as BlockRequest;
    this.#places[this.#first] = null;
    this.#first += 1;
    if (this.#first >= MAX_LEFT && this.#first * 2 >= this.#places.length) {
      this.#places.splice(0, this.#first);
      this.#first = 0;
    }
    return request;
  }
}
