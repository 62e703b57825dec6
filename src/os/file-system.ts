/** What kind of file system a path is on. */

import { statfs } from 'node:fs/promises';

const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;

/** True where file contents live in memory, so that reading and writing never wait for a disk: tmpfs and ramfs. */
export async function isMemoryFileSystem(path: string): Promise<boolean> {
  const { type } = await statfs(path);
  return type === TMPFS_MAGIC || type === RAMFS_MAGIC;
}
