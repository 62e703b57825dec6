/** Where a sparse file has data and where it has holes: lseek(2) with SEEK_DATA and SEEK_HOLE. */

import { callInPool } from './call-in-pool.ts';
import { lastErrno, lseek } from './libc.ts';
import type { PoolShare } from './thread-pool.ts';

const WHENCE = { data: 3, hole: 4 } as const;

/** What to look for; the end of the file counts as a hole. */
export type SparseEdge = keyof typeof WHENCE;

/** The first offset at or after `offset` where there is data, or a hole; -1 with `lastErrno`, ENXIO for no more data. */
export function seekSparse(fd: number, edge: SparseEdge, offset: number): { position: number; errno: number } {
  const position = lseek(fd, offset, WHENCE[edge]);
  return { position, errno: position === -1 ? lastErrno() : 0 };
}

/** `seekSparse` in a thread of `share`. */
export function seekSparseInPool(
  share: PoolShare,
  fd: number,
  edge: SparseEdge,
  offset: number,
  done: (position: number, errno: number) => void,
): void {
  callInPool(share, lseek, [fd, offset, WHENCE[edge]], done);
}
