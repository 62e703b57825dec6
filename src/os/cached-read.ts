/** Reads what the page cache has, and does not wait for a disk: preadv2(2) with RWF_NOWAIT. */

import { EAGAIN, ENOTSUP } from '../base/errno.ts';
import { lastErrno, preadv2 } from './libc.ts';
import { addressOf } from './memory-address.ts';

const RWF_NOWAIT = 0x08;

/** struct iovec: u64 address, u64 length, in the machine's byte order (little-endian on all that Node runs on). */
const vector = Buffer.alloc(16);

/**
 * Reads up to `length` bytes at `offset` of the file to `at` of `buffer`, and returns how many the cache had; or minus
 * the errno: EAGAIN where it has none, ENOTSUP where the file system does not do this (FUSE).
 */
export function readCached(fd: number, buffer: Buffer, at: number, length: number, offset: number): number {
  if (preadv2 === null) return -ENOTSUP;
  const address = addressOf(buffer) + at;
  vector.writeUInt32LE(address % 0x1_0000_0000, 0);
  vector.writeUInt32LE(Math.floor(address / 0x1_0000_0000), 4);
  vector.writeUInt32LE(length, 8);
  const bytes = preadv2(fd, vector, 1, offset, RWF_NOWAIT);
  return bytes >= 0 ? bytes : -lastErrno();
}

/** True where `readCached` must not be tried again on this file. */
export function isCachedReadRefused(result: number): boolean {
  return result < 0 && result !== -EAGAIN;
}
