/** Changes to how a file's space is allocated: fallocate(2). */

import { EINTR } from '../base/errno.ts';
import { callInPool } from './call-in-pool.ts';
import { fallocate, lastErrno } from './libc.ts';
import type { PoolShare } from './thread-pool.ts';

const FALLOC_FL_KEEP_SIZE = 0x01;
const FALLOC_FL_PUNCH_HOLE = 0x02;
const FALLOC_FL_ZERO_RANGE = 0x10;

/**
 * `punch-hole` gives the space back, `zero-range` keeps it; both make the range read as zeroes. `allocate` reserves
 * space for what is a hole and leaves data alone. None changes the file's length.
 */
export type AllocationChange = 'punch-hole' | 'zero-range' | 'allocate';

const MODES: Readonly<Record<AllocationChange, number>> = {
  'punch-hole': FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
  'zero-range': FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
  allocate: FALLOC_FL_KEEP_SIZE,
};

/** Does it now and returns the errno; ENOTSUP where the file system or device cannot. */
export function changeAllocation(fd: number, change: AllocationChange, offset: number, length: number): number {
  for (;;) {
    if (fallocate(fd, MODES[change], offset, length) === 0) return 0;
    const errno = lastErrno();
    if (errno !== EINTR) return errno;
  }
}

/** Does it in a thread of `share` and tells `done` the errno. */
export function changeAllocationInPool(
  share: PoolShare,
  fd: number,
  change: AllocationChange,
  offset: number,
  length: number,
  done: (errno: number) => void,
): void {
  callInPool(share, fallocate, [fd, MODES[change], offset, length], (_result, errno) => done(errno));
}
