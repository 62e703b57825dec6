/** Makes durable what a node has acknowledged. */

import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { errnoName } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import { BlockBackend } from './block-backend.ts';
import { READ_SHARED } from './block-edge.ts';
import type { BlockNode } from './block-node.ts';
import { releaseRequest, takeRequest } from './block-request.ts';

/**
 * Flushes `node` and what is below it for `holder`, who uses it meanwhile. Throws what the flush failed with, or
 * ETIMEDOUT: the node then stays in use until the flush returns.
 */
export async function flushNode(node: BlockNode, holder: string, deadlineMs: number, clock: Clock): Promise<void> {
  const backend = new BlockBackend(holder, node, READ_SHARED);
  let errno = 0;
  backend.submit(
    takeRequest('flush', {
      requestDone(request) {
        errno = request.errno;
        releaseRequest(request);
      },
    }),
  );
  backend.close();
  const left = backend.idle().then(() => backend.detach());
  await withDeadline(left, deadlineMs, clock, `no answer within ${deadlineMs} ms`);
  if (errno !== 0) throw new ColobusError(errnoName(errno), { errno });
}
