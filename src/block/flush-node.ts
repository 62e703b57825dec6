/** Makes durable what a node has acknowledged. */

import type { Clock } from '../base/clock.ts';
import { deferred, withDeadline } from '../base/deadline.ts';
import { errnoName } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import { BlockBackend } from './block-backend.ts';
import { READ_SHARED } from './block-edge.ts';
import type { BlockNode } from './block-node.ts';
import { releaseRequest, takeRequest } from './block-request.ts';

/** Flushes `node` and what is below it. Throws what the flush failed with, or ETIMEDOUT. */
export async function flushNode(node: BlockNode, deadlineMs: number, clock: Clock): Promise<void> {
  const backend = new BlockBackend('shutdown', node, READ_SHARED);
  const done = deferred<number>();
  backend.submit(
    takeRequest('flush', {
      requestDone(request) {
        done.resolve(request.errno);
        releaseRequest(request);
      },
    }),
  );
  try {
    const errno = await withDeadline(done.promise, deadlineMs, clock, `no answer within ${deadlineMs} ms`);
    if (errno !== 0) throw new ColobusError(errnoName(errno), { errno });
  } finally {
    backend.close();
    if (backend.inFlight === 0) backend.detach();
  }
}
