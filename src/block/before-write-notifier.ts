/** BeforeWriteNotifier: sees every write, discard and write-zeroes of a node before it changes data. */

import type { BlockRequest } from './block-request.ts';

export interface BeforeWriteNotifier {
  /**
   * Returns true to let `request` go on at once. Returns false to hold it; the notifier then calls the node's
   * `proceed(request)` when it has done its work, or `request.complete(errno)` to refuse the write.
   */
  beforeWrite(request: BlockRequest): boolean;
}
