/** What libc says of an errno, as QEMU's messages have it. */

import * as errno from './errno.ts';

const TEXTS: ReadonlyMap<number, string> = new Map([
  [errno.EPERM, 'Operation not permitted'],
  [errno.ENOENT, 'No such file or directory'],
  [errno.EINTR, 'Interrupted system call'],
  [errno.EIO, 'Input/output error'],
  [errno.ENXIO, 'No such device or address'],
  [errno.EAGAIN, 'Resource temporarily unavailable'],
  [errno.ENOMEM, 'Cannot allocate memory'],
  [errno.EACCES, 'Permission denied'],
  [errno.EBUSY, 'Device or resource busy'],
  [errno.EEXIST, 'File exists'],
  [errno.EINVAL, 'Invalid argument'],
  [errno.EFBIG, 'File too large'],
  [errno.ENOSPC, 'No space left on device'],
  [errno.EROFS, 'Read-only file system'],
  [errno.EPIPE, 'Broken pipe'],
  [errno.EOVERFLOW, 'Value too large for defined data type'],
  [errno.ENOTSUP, 'Operation not supported'],
  [errno.ECONNRESET, 'Connection reset by peer'],
  [errno.ESHUTDOWN, 'Cannot send after transport endpoint shutdown'],
  [errno.ETIMEDOUT, 'Connection timed out'],
  [errno.EDQUOT, 'Disk quota exceeded'],
  [errno.ECANCELED, 'Operation canceled'],
]);

/** The text of `strerror`; `Unknown error N` where Colobus has no name for the errno. */
export function errnoText(number: number): string {
  return TEXTS.get(number) ?? `Unknown error ${number}`;
}
