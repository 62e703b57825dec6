/** What kind of file system a path is on. */

import { statfs } from 'node:fs/promises';

const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;

const EXT4_MAGIC = 0xef53;
const XFS_MAGIC = 0x58465342;
const BTRFS_MAGIC = 0x9123683e;
const F2FS_MAGIC = 0xf2f52010;

/**
 * Where the contents of a file live. `memory`: reading and writing never wait for a disk (tmpfs, ramfs). `page-cache`: a
 * write of whole pages is a copy to memory, unless too much waits to be written out. `elsewhere`: any access may wait
 * for somebody else (FUSE, network file systems, and all that is not known here).
 */
export type FileSystemKind = 'memory' | 'page-cache' | 'elsewhere';

export async function fileSystemKind(path: string): Promise<FileSystemKind> {
  switch ((await statfs(path)).type) {
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
      return 'memory';
    case EXT4_MAGIC:
    case XFS_MAGIC:
    case BTRFS_MAGIC:
    case F2FS_MAGIC:
      return 'page-cache';
    default:
      return 'elsewhere';
  }
}
