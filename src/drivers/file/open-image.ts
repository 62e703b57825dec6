/** Opens an image file or block device, checked and locked, or says in one sentence why it cannot be used. */

import { close, constants, fstat, open, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { EACCES, EBUSY, ENOENT, EPERM, EROFS, errnoOf } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { blockDeviceGeometry } from '../../os/block-device.ts';
import { type FileSystemKind, fileSystemKind } from '../../os/file-system.ts';
import { type ImageUse, lockImage, shareLock, widenLock } from '../../os/image-lock.ts';
import { dup2, lastErrno } from '../../os/libc.ts';
import type { FileOptions } from './options.ts';

export type OpenImage = {
  readonly fd: number;
  readonly kind: 'file' | 'block-device';
  readonly lengthBytes: number;
  /** Discards of a block device are multiples of this; 1 for a file. */
  readonly sectorBytes: number;
  readonly fileSystem: FileSystemKind;
};

const openFile = promisify(open);
const statFile = promisify(fstat);
export const closeFile: (fd: number) => Promise<void> = promisify(close);

/** Throws UsageError, with nothing created, changed or left open, where the image cannot be used as asked. */
export async function openImage(options: FileOptions, readOnly: boolean, logger: Logger): Promise<OpenImage> {
  const { filename } = options;
  if (options['force-share'] && !readOnly) {
    throw new UsageError(`Image '${filename}': force-share=on can only be used with a read-only node`);
  }
  // Looked at before it is opened: opening a FIFO would wait for its other end, and a device may act on being opened.
  checkKind(filename, await stat(filename).catch(error => refuse(filename, error)), readOnly);
  const fd = await openFile(filename, openFlags(readOnly)).catch(error => refuse(filename, error));
  try {
    const stats = await statFile(fd);
    checkKind(filename, stats, readOnly);
    lock(fd, options, readOnly, logger);
    const image = await describe(fd, stats);
    checkLength(filename, image.lengthBytes);
    return image;
  } catch (error) {
    await closeFile(fd);
    throw error;
  }
}

async function describe(fd: number, stats: Stats): Promise<OpenImage> {
  if (stats.isBlockDevice()) {
    return { fd, kind: 'block-device', fileSystem: 'page-cache', ...blockDeviceGeometry(fd) };
  }
  const fileSystem = await fileSystemKind(`/proc/self/fd/${fd}`);
  return { fd, kind: 'file', lengthBytes: stats.size, sectorBytes: 1, fileSystem };
}

function checkKind(filename: string, stats: Stats, readOnly: boolean): void {
  if (stats.isDirectory()) throw new UsageError(`Image '${filename}' is a directory; give the path of an image file`);
  if (!stats.isFile() && !stats.isBlockDevice()) {
    throw new UsageError(`Image '${filename}' is neither a file nor a block device; give the path of an image file`);
  }
  // Root could write regardless, but whoever took the last write permission away meant it.
  if (!readOnly && stats.isFile() && (stats.mode & 0o222) === 0) throw readOnlyError(filename);
}

function checkLength(filename: string, lengthBytes: number): void {
  if (lengthBytes === 0) {
    throw new UsageError(`Image '${filename}' has length 0; give it a size first, such as truncate -s 1G ${filename}`);
  }
  if (!Number.isSafeInteger(lengthBytes)) {
    throw new UsageError(`Image '${filename}' is too large; the limit is ${Number.MAX_SAFE_INTEGER} bytes`);
  }
}

/**
 * Opens `image` anew, read-only or writable, under the file descriptor it has. Nobody else can take it meanwhile. Throws
 * UsageError, with the image open as it was, where that cannot be; nothing may be in flight on it.
 */
export async function reopenImage(image: OpenImage, options: FileOptions, readOnly: boolean): Promise<void> {
  const { filename } = options;
  if (options['force-share'] && !readOnly) {
    throw new UsageError(`Image '${filename}': force-share=on can only be used with a read-only node`);
  }
  // By way of the open file: the path may name another one by now.
  const path = `/proc/self/fd/${image.fd}`;
  const fd = await openFile(path, openFlags(readOnly)).catch(error => refuse(filename, error));
  try {
    checkKind(filename, await statFile(fd), readOnly);
    const use = imageUse(options, readOnly);
    if (options.locking !== 'off' && widenLock(image.fd, imageUse(options, !readOnly), use) === 'in-use') {
      throw inUseError(filename);
    }
    if (options.locking !== 'off') shareLock(fd, use);
    if (dup2(fd, image.fd) === -1) throw new UsageError(`Image '${filename}' cannot be reopened: errno ${lastErrno()}`);
  } finally {
    await closeFile(fd);
  }
}

function openFlags(readOnly: boolean): number {
  return (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK | constants.O_NOCTTY;
}

function inUseError(filename: string): UsageError {
  return new UsageError(
    `Image '${filename}' is in use by another process or node; ` +
      'stop that first, or read it anyway with read-only and force-share',
    { errno: EBUSY },
  );
}

function lock(fd: number, options: FileOptions, readOnly: boolean, logger: Logger): void {
  if (options.locking === 'off') return;
  const outcome = lockImage(fd, imageUse(options, readOnly));
  if (outcome === 'in-use') throw inUseError(options.filename);
  if (outcome === 'unsupported') {
    if (options.locking === 'on') {
      throw new UsageError(`Image '${options.filename}' is on a file system without locks; use locking=off`);
    }
    logger.warn({ filename: options.filename }, 'The file system has no locks; nothing keeps a second writer away');
  }
}

function imageUse(options: FileOptions, readOnly: boolean): ImageUse {
  if (!readOnly) return 'write';
  return options['force-share'] ? 'read-shared' : 'read';
}

function refuse(filename: string, error: unknown): never {
  const errno = errnoOf(error);
  switch (errno) {
    case ENOENT:
      throw new UsageError(`Could not open '${filename}': No such file or directory; check the path or create it`, {
        errno,
        cause: error,
      });
    case EROFS:
      throw readOnlyError(filename, error);
    case EACCES:
    case EPERM:
      throw new UsageError(`Image '${filename}' may not be opened by this user; check its permissions`, {
        errno,
        cause: error,
      });
    default:
      throw new UsageError(`Image '${filename}' cannot be opened: ${messageOf(error)}`, { errno, cause: error });
  }
}

function readOnlyError(filename: string, cause?: unknown): UsageError {
  return new UsageError(`Image '${filename}' is read-only; make it writable or open it read-only`, {
    errno: EROFS,
    cause,
  });
}
