/** Block devices: their size and discard, which stat(2) and fallocate(2) do not give. Source: linux/fs.h. */

import { ColobusError } from '../base/errors.ts';
import { callInPool } from './call-in-pool.ts';
import { ioctl, lastErrno } from './libc.ts';
import type { PoolShare } from './thread-pool.ts';

const BLKSSZGET = 0x1268;
const BLKDISCARD = 0x1277;
const BLKGETSIZE64 = 0x80081272;

export type BlockDeviceGeometry = {
  readonly lengthBytes: number;
  /** Discards are multiples of this many bytes. */
  readonly sectorBytes: number;
};

/** Asks the open block device `fd`. Throws ColobusError where it is none. */
export function blockDeviceGeometry(fd: number): BlockDeviceGeometry {
  const answer = Buffer.alloc(8);
  if (ioctl(fd, BLKGETSIZE64, answer) === -1) {
    throw new ColobusError('The size of the block device cannot be read', { errno: lastErrno() });
  }
  const lengthBytes = Number(answer.readBigUInt64LE());
  if (ioctl(fd, BLKSSZGET, answer) === -1) {
    throw new ColobusError('The sector size of the block device cannot be read', { errno: lastErrno() });
  }
  return { lengthBytes, sectorBytes: answer.readInt32LE() };
}

/** Tells the device, in a thread of `share`, that whole sectors are not needed; ENOTSUP where it does not care. */
export function discardSectorsInPool(
  share: PoolShare,
  fd: number,
  offset: number,
  length: number,
  done: (errno: number) => void,
): void {
  const range = Buffer.alloc(16);
  range.writeBigUInt64LE(BigInt(offset), 0);
  range.writeBigUInt64LE(BigInt(length), 8);
  callInPool(share, ioctl, [fd, BLKDISCARD, range], (_result, errno) => done(errno));
}
