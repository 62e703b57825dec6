/** Reads what the page cache has, and does not wait for a disk: preadv2(2) with RWF_NOWAIT. */

import { EAGAIN, ENOTSUP } from '../base/errno.ts';
import { IoVector } from './io-vector.ts';
import { lastErrno, preadv2 } from './libc.ts';

const RWF_NOWAIT = 0x08;

const vector = new IoVector(1);

/**
 * Reads up to `length` bytes at `offset` of the file to `at` of `buffer`, and returns how many the cache had; or minus
 * the errno: EAGAIN where it has none, ENOTSUP where the file system does not do this (FUSE).
 */
export function readCached(fd: number, buffer: Buffer, at: number, length: number, offset: number): number {
  if (preadv2 === null) return -ENOTSUP;
  vector.set(0, buffer, at, length);
  const bytes = preadv2(fd, vector.address, 1, offset, RWF_NOWAIT);
  return bytes >= 0 ? bytes : -lastErrno();
}

/** True where `readCached` must not be tried again on this file. */
export function isCachedReadRefused(result: number): boolean {
  return result < 0 && result !== -EAGAIN;
}
