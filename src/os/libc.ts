/**
 * The C library's calls that Node.js has no function for, or has one that costs more than the call itself.
 *
 * Each returns what the C function returns; after -1, `lastErrno()` tells why as long as no other call was made.
 * Offsets are `int64_t`, exact as a number up to 2^53 - 1. `fcntl` and `ioctl` are variadic in C; on Linux's ABIs one
 * pointer argument is passed the same way.
 */

import koffi, { type KoffiFunc } from 'koffi';

/** Calls in the thread pool at once; koffi throws at one more. Each image has at most a few (see thread-pool.ts). */
const MAX_ASYNC_CALLS = 4096;

koffi.config({ ...koffi.config(), max_async_calls: MAX_ASYNC_CALLS });

const library = koffi.load(null);

/** A C function that returns a number and can also be called in the thread pool (see `callInPool`). */
export type NativeCall<Arguments extends (number | Buffer)[]> = KoffiFunc<(...args: Arguments) => number>;

export const fallocate: NativeCall<[fd: number, mode: number, offset: number, length: number]> = library.func(
  'int fallocate(int fd, int mode, int64_t offset, int64_t length)',
);

export const lseek: NativeCall<[fd: number, offset: number, whence: number]> = library.func(
  'int64_t lseek(int fd, int64_t offset, int whence)',
);

export const fcntl: NativeCall<[fd: number, command: number, argument: Buffer]> = library.func(
  'int fcntl(int fd, int command, void *argument)',
);

export const ioctl: NativeCall<[fd: number, request: number, argument: Buffer]> = library.func(
  'int ioctl(int fd, unsigned long request, void *argument)',
);

/** Makes `to` another name of the open file `from`; what `to` was is closed in the same step. */
export const dup2: NativeCall<[from: number, to: number]> = library.func('int dup2(int from, int to)');

type Preadv2 = KoffiFunc<(fd: number, vectors: number, count: number, offset: number, flags: number) => number>;

/** Null where the C library does not have it. */
export const preadv2: Preadv2 | null = optional(
  'int64_t preadv2(int fd, uintptr_t vectors, int count, int64_t offset, int flags)',
);

/** pread and pwrite; memory is told by its address, see memory-address.ts. */
export type FileTransferCall = KoffiFunc<(fd: number, address: number, bytes: number, offset: number) => number>;

export const pread: FileTransferCall = library.func(
  'int64_t pread(int fd, uintptr_t address, size_t bytes, int64_t offset)',
);

export const pwrite: FileTransferCall = library.func(
  'int64_t pwrite(int fd, uintptr_t address, size_t bytes, int64_t offset)',
);

export const read: KoffiFunc<(fd: number, address: number, bytes: number) => number> = library.func(
  'int64_t read(int fd, uintptr_t address, size_t bytes)',
);

export const writev: KoffiFunc<(fd: number, vectors: number, count: number) => number> = library.func(
  'int64_t writev(int fd, uintptr_t vectors, int count)',
);

export const memmove: KoffiFunc<(target: Buffer, source: Buffer, bytes: number) => number> = library.func(
  'uint64_t memmove(void *target, const void *source, size_t bytes)',
);

/** Such as `Input/output error` for EIO: QEMU's events carry these texts. */
export const strerror: KoffiFunc<(errno: number) => string> = library.func('const char *strerror(int errno)');

function optional(prototype: string): Preadv2 | null {
  try {
    return library.func(prototype);
  } catch {
    return null;
  }
}

/** Why the last call on this thread failed. For a call in the pool it is right only inside its callback. */
export function lastErrno(): number {
  return koffi.errno();
}
