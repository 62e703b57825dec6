/** The few errors that NBD knows (NBD proto.md, Error values); they are Linux's numbers. */

import {
  EACCES,
  EDQUOT,
  EFBIG,
  EINVAL,
  EIO,
  ENOMEM,
  ENOSPC,
  ENOTSUP,
  EOVERFLOW,
  EPERM,
  EROFS,
  ESHUTDOWN,
} from '../../base/errno.ts';

/** The error that tells a client of `errno`. A failure that NBD has no word for is an I/O error; 0 stays 0. */
export function wireErrorOf(errno: number): number {
  switch (errno) {
    case 0:
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
    case ENOTSUP:
    case ESHUTDOWN:
      return errno;
    case EROFS:
    case EACCES:
      return EPERM;
    case EFBIG:
    case EDQUOT:
      return ENOSPC;
    default:
      return EIO;
  }
}

/** The errno that a server's `error` stands for: one that NBD does not define counts as EINVAL; 0 stays 0. */
export function errnoOfWire(error: number): number {
  switch (error) {
    case 0:
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
    case ENOTSUP:
    case ESHUTDOWN:
      return error;
    default:
      return EINVAL;
  }
}
