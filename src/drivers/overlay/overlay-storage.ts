/** The node that keeps what is written to an overlay: in memory, or in a file that has no name. */

import { open, unlink } from 'node:fs/promises';
import { EEXIST, errnoOf } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { type BlockEdge, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { OpenContext } from '../../block/driver.ts';

/** Opens the storage of `lengthBytes`. Throws UsageError, with no file left behind, where `storage` cannot be made. */
export async function attachStorage(storage: string, lengthBytes: number, context: OpenContext): Promise<BlockEdge> {
  if (storage === 'memory') {
    return context.attach('storage', { driver: 'memory', size: lengthBytes, 'read-only': false }, WRITE_EXCLUSIVE);
  }
  await createSparse(storage, lengthBytes);
  try {
    return await context.attach('storage', { driver: 'file', filename: storage, 'read-only': false }, WRITE_EXCLUSIVE);
  } finally {
    // Without the overlay's chunk map the content is worth nothing, so nothing must outlive the process.
    await unlink(storage);
  }
}

async function createSparse(path: string, lengthBytes: number): Promise<void> {
  const handle = await open(path, 'wx', 0o600).catch(error => {
    const errno = errnoOf(error);
    throw errno === EEXIST
      ? new UsageError(`The overlay's storage '${path}' exists; remove it or give another path`, {
          errno,
          cause: error,
        })
      : new UsageError(`The overlay's storage '${path}' cannot be made: ${messageOf(error)}`, { errno, cause: error });
  });
  try {
    await handle.truncate(lengthBytes);
  } catch (error) {
    await unlink(path);
    throw new UsageError(`The overlay's storage '${path}' cannot be made: ${messageOf(error)}`, { cause: error });
  } finally {
    await handle.close();
  }
}
