/** WriteInterceptor: stands before a node and sees every write, discard and write-zeroes of it begin and end. */

import type { BlockRequest } from './block-request.ts';

export interface WriteInterceptor {
  /**
   * Takes over `request`, which changes data: sends a request of its own like it to the node by `receiveIntercepted`,
   * and completes `request` when that one has completed, or later.
   */
  interceptWrite(request: BlockRequest): void;
}
