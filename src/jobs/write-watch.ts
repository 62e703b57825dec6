/** WriteWatch: tells of every change of a node when it has taken place, and leaves it to its owner to complete it. */

import { UsageError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../block/block-request.ts';
import type { WriteInterceptor } from '../block/write-interceptor.ts';

export interface WriteWatcher {
  /** `request` has changed its range, or has failed with `errno` and may have. The watcher completes it with that. */
  changed(request: BlockRequest, errno: number): void;
}

export class WriteWatch implements WriteInterceptor, RequestOwner {
  readonly #node: BlockNode;
  readonly #watcher: WriteWatcher;

  /** Watches `node`, which is drained. Throws UsageError where somebody does already. */
  constructor(node: BlockNode, watcher: WriteWatcher) {
    if (node.interceptor !== null)
      throw new UsageError(`Node '${node.name}' is mirrored by another job; end that first`);
    this.#node = node;
    this.#watcher = watcher;
    node.setInterceptor(this);
  }

  interceptWrite(request: BlockRequest): void {
    this.#node.receiveIntercepted(takeChildRequest(request, this));
  }

  requestDone(child: BlockRequest): void {
    const { parent, errno } = child;
    releaseRequest(child);
    if (parent !== null) this.#watcher.changed(parent, errno);
  }

  /** Watches no more; changes in flight are still told. */
  end(): void {
    if (this.#node.interceptor === this) this.#node.setInterceptor(null);
  }
}
