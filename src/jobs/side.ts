/** One side of a copy or comparison: the root through which its image is used, and what went wrong there. */

import { deferred } from '../base/deadline.ts';
import { errnoName } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../block/block-request.ts';

/** A request of a copy or comparison failed. `side` is the root that it went through. */
export class SideError extends ColobusError {
  override readonly name = 'SideError';
  readonly side: BlockBackend;

  constructor(side: BlockBackend, message: string, errno: number) {
    super(message, { errno });
    this.side = side;
  }
}

/** The failure of `request`, which has completed with an errno at `side`. */
export function sideError(side: BlockBackend, request: BlockRequest): SideError {
  const { kind, offset, length, errno } = request;
  const what =
    kind === 'flush'
      ? `Flushing ${side.name} failed`
      : `Cannot ${kind === 'read' ? 'read' : 'write'} bytes ${offset} + ${length} of ${side.name}`;
  const { failure } = side.node;
  return new SideError(side, `${what}: ${errnoName(errno)}${failure === null ? '' : ` (${failure})`}`, errno);
}

/** What offsets and lengths are multiples of where both sides take them. */
export function commonAlignment(one: BlockBackend, other: BlockBackend): number {
  return Math.max(one.node.limits.requestAlignment, other.node.limits.requestAlignment);
}

/** Makes what was written to `side` durable. */
export async function flushSide(side: BlockBackend): Promise<void> {
  const done = deferred<void>();
  const owner: RequestOwner = {
    requestDone(request) {
      if (request.errno === 0) done.resolve();
      else done.reject(sideError(side, request));
      releaseRequest(request);
    },
  };
  side.submitInWork(takeRequest('flush', owner));
  await done.promise;
}
