/** Block-status of the standby's view: the entries laid over the disk's own extents. */

import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { EXTENT_HOLE, EXTENT_ZERO, ExtentList } from '../../block/extent-list.ts';
import type { ColoBuffer } from './colo-buffer.ts';
import { isZero, NO_ENTRY } from './entry.ts';

/** Most chunks one answer looks at; a longer range is answered in part. */
const MAX_CHUNKS = 16_384;

/** Answers `request` with the extents of the running view, from its offset on. */
export function statusOfView(buffer: ColoBuffer, request: BlockRequest): void {
  const { granularity } = buffer;
  const chunk = Math.floor(request.offset / granularity);
  const owner: RequestOwner = {
    requestDone: child => {
      const { errno, extents } = child;
      releaseRequest(child);
      if (errno === 0 && extents !== null) overlay(buffer, request, extents);
      request.complete(errno);
    },
  };
  const child = takeRequest('block-status', owner);
  child.offset = request.offset;
  child.length = Math.min(request.length, (chunk + MAX_CHUNKS) * granularity - request.offset);
  child.extents = new ExtentList();
  buffer.backing.submit(child);
}

/** Adds to `extents` what `statusOf` says of the entry of each chunk, from `offset` on over `length` bytes or less. */
export function describeEntries(
  buffer: ColoBuffer,
  offset: number,
  length: number,
  extents: ExtentList,
  maxExtents: number,
  statusOf: (entry: number) => number,
): void {
  const { granularity } = buffer;
  const end = Math.min(offset + length, (Math.floor(offset / granularity) + MAX_CHUNKS) * granularity);
  for (let at = offset; at < end && extents.lengths.length < maxExtents; ) {
    const chunk = Math.floor(at / granularity);
    const next = Math.min(end, (chunk + 1) * granularity);
    extents.append(next - at, statusOf(buffer.view(buffer.running, chunk)));
    at = next;
  }
}

function overlay(buffer: ColoBuffer, request: BlockRequest, disk: ExtentList): void {
  let at = request.offset;
  for (const [i, length] of disk.lengths.entries()) {
    const diskFlags = disk.flags[i] as number;
    const end = Math.min(at + length, request.offset + request.length);
    while (at < end) {
      const chunk = Math.floor(at / buffer.granularity);
      const next = Math.min(end, (chunk + 1) * buffer.granularity);
      const entry = buffer.view(buffer.running, chunk);
      const flags = entry === NO_ENTRY ? diskFlags : isZero(entry) ? EXTENT_HOLE | EXTENT_ZERO : 0;
      request.extents?.append(next - at, flags);
      at = next;
    }
  }
}
