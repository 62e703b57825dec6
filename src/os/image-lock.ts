/**
 * Locks on disk images between processes, in the form QEMU uses, so that QEMU and Colobus see each other.
 *
 * A user of an image holds a shared lock on one byte for each thing it does (byte 100 + permission) and on one for each
 * thing it does not bear from others (byte 200 + permission). It then looks whether somebody holds the counterpart.
 * The locks belong to the open file description: two opens conflict even within a process, and closing unlocks.
 * Source: fcntl(2), Open file description locks; the bytes are those QEMU shows in /proc/locks.
 */

import { EACCES, EAGAIN } from '../base/errno.ts';
import { fcntl, lastErrno } from './libc.ts';

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

const DOES_BASE = 100;
const DOES_NOT_SHARE_BASE = 200;

/** QEMU's permissions that matter for an image, by their bit. */
const CONSISTENT_READ = 0;
const WRITE = 1;
const RESIZE = 3;

/** `read-shared` reads while others write; the other two bear readers alone. */
export type ImageUse = 'read-shared' | 'read' | 'write';

type Permissions = { readonly does: readonly number[]; readonly doesNotShare: readonly number[] };

const PERMISSIONS: Readonly<Record<ImageUse, Permissions>> = {
  'read-shared': { does: [CONSISTENT_READ], doesNotShare: [] },
  read: { does: [CONSISTENT_READ], doesNotShare: [WRITE, RESIZE] },
  write: { does: [CONSISTENT_READ, WRITE], doesNotShare: [WRITE, RESIZE] },
};

/** `unsupported`: the file system has no such locks. */
export type LockOutcome = 'locked' | 'in-use' | 'unsupported';

/** Locks the image open as `fd` until it is closed. Where the outcome is not `locked`, close it. */
export function lockImage(fd: number, use: ImageUse): LockOutcome {
  const { does, doesNotShare } = PERMISSIONS[use];
  for (const byte of lockedBytes(use)) {
    if (fcntl(fd, F_OFD_SETLK, flock(F_RDLCK, byte)) === -1) {
      const errno = lastErrno();
      return errno === EAGAIN || errno === EACCES ? 'in-use' : 'unsupported';
    }
  }
  const conflicting = bytesOf(does, doesNotShare, DOES_NOT_SHARE_BASE, DOES_BASE);
  return conflicting.some(byte => isLockedByOthers(fd, byte)) ? 'in-use' : 'locked';
}

/**
 * Has the image open as `fd`, which `heldAs` is locked, locked for `use` as well. Where the outcome is not `locked` it is
 * locked as before.
 */
export function widenLock(fd: number, heldAs: ImageUse, use: ImageUse): LockOutcome {
  const outcome = lockImage(fd, use);
  if (outcome === 'in-use') {
    const kept = lockedBytes(heldAs);
    for (const byte of lockedBytes(use)) if (!kept.includes(byte)) fcntl(fd, F_OFD_SETLK, flock(F_UNLCK, byte));
  }
  return outcome;
}

/** Locks `fd` for `use` whoever else has the image: the caller has a lock for that by another file descriptor. */
export function shareLock(fd: number, use: ImageUse): void {
  for (const byte of lockedBytes(use)) fcntl(fd, F_OFD_SETLK, flock(F_RDLCK, byte));
}

function lockedBytes(use: ImageUse): number[] {
  const { does, doesNotShare } = PERMISSIONS[use];
  return bytesOf(does, doesNotShare, DOES_BASE, DOES_NOT_SHARE_BASE);
}

function bytesOf(
  does: readonly number[],
  doesNotShare: readonly number[],
  doesBase: number,
  sharingBase: number,
): number[] {
  return [
    ...does.map(permission => doesBase + permission),
    ...doesNotShare.map(permission => sharingBase + permission),
  ];
}

function isLockedByOthers(fd: number, byte: number): boolean {
  const lock = flock(F_WRLCK, byte);
  return fcntl(fd, F_OFD_GETLK, lock) === -1 || lock.readInt16LE(0) !== F_UNLCK;
}

/**
 * struct flock of 64-bit Linux for one byte of the file:
 * l_type i16 at 0, l_whence i16 at 2 (0 is SEEK_SET), l_start i64 at 8, l_len i64 at 16, l_pid i32 at 24 (0).
 */
function flock(type: number, byte: number): Buffer {
  const lock = Buffer.alloc(32);
  lock.writeInt16LE(type, 0);
  lock.writeBigInt64LE(BigInt(byte), 8);
  lock.writeBigInt64LE(1n, 16);
  return lock;
}
