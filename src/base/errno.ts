/**
 * Linux errno values: how every request of the block layer says that it failed.
 *
 * 0 is success. A completion never carries a negative value. Source: asm-generic/errno-base.h and errno.h.
 */

export const EPERM = 1;
export const ENOENT = 2;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const EPIPE = 32;
export const EOVERFLOW = 75;
export const ENOTSUP = 95;
export const ECONNRESET = 104;
export const ESHUTDOWN = 108;
export const ETIMEDOUT = 110;
export const EDQUOT = 122;
export const ECANCELED = 125;

const NAMES: ReadonlyMap<number, string> = new Map([
  [EPERM, 'EPERM'],
  [ENOENT, 'ENOENT'],
  [EINTR, 'EINTR'],
  [EIO, 'EIO'],
  [ENXIO, 'ENXIO'],
  [EAGAIN, 'EAGAIN'],
  [ENOMEM, 'ENOMEM'],
  [EACCES, 'EACCES'],
  [EBUSY, 'EBUSY'],
  [EEXIST, 'EEXIST'],
  [EINVAL, 'EINVAL'],
  [EFBIG, 'EFBIG'],
  [ENOSPC, 'ENOSPC'],
  [EROFS, 'EROFS'],
  [EPIPE, 'EPIPE'],
  [EOVERFLOW, 'EOVERFLOW'],
  [ENOTSUP, 'ENOTSUP'],
  [ECONNRESET, 'ECONNRESET'],
  [ESHUTDOWN, 'ESHUTDOWN'],
  [ETIMEDOUT, 'ETIMEDOUT'],
  [EDQUOT, 'EDQUOT'],
  [ECANCELED, 'ECANCELED'],
]);

/** The symbolic name of an errno, or `errno N` where Colobus has no name for it. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** The positive errno of a Node.js system error; EIO for anything else that was thrown. */
export function errnoOf(error: unknown): number {
  if (typeof error === 'object' && error !== null && 'errno' in error && typeof error.errno === 'number') {
    return Math.abs(error.errno) || EIO;
  }
  return EIO;
}
