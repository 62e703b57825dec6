/**
 * Reads and writes of a file at once, on the event loop.
 *
 * They do what fs.readSync and fs.writeSync do, without what those spend on checks and tracing: 0.7 µs of 3.3 for 4 KiB
 * in memory. Both return the bytes that were moved, which may be fewer than asked for, or minus the errno.
 */

import { EINTR } from '../base/errno.ts';
import { type FileTransferCall, lastErrno, pread, pwrite } from './libc.ts';
import { addressOfRange } from './memory-address.ts';

/** Reads up to `length` bytes at `offset` of the file to `at` of `buffer`. */
export function readNow(fd: number, buffer: Buffer, at: number, length: number, offset: number): number {
  return transfer(pread, fd, addressOfRange(buffer, at, length), length, offset);
}

/** Writes up to `length` bytes from `at` of `buffer` to `offset` of the file. */
export function writeNow(fd: number, buffer: Buffer, at: number, length: number, offset: number): number {
  return transfer(pwrite, fd, addressOfRange(buffer, at, length), length, offset);
}

function transfer(call: FileTransferCall, fd: number, address: number, length: number, offset: number): number {
  for (;;) {
    const bytes = call(fd, address, length, offset);
    if (bytes >= 0) return bytes;
    const errno = lastErrno();
    if (errno !== EINTR) return -errno;
  }
}
