/** A target that did not exist: made before it is opened, and taken back where the copy does not begin. */

import { open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EEXIST, errnoOf } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';

/** Creates the file `path` with `lengthBytes` bytes, all of them a hole. Throws UsageError, leaving nothing. */
export async function createImage(path: string, lengthBytes: number): Promise<void> {
  const file = await open(path, 'wx').catch(cause => refuse(path, cause));
  try {
    await file.truncate(lengthBytes);
  } catch (cause) {
    await unlink(path);
    refuse(path, cause);
  } finally {
    await file.close();
  }
}

/** Makes durable that the file `path` is there. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function refuse(path: string, cause: unknown): never {
  if (errnoOf(cause) === EEXIST) {
    throw new UsageError(
      `Image '${path}' is a link to a file that does not exist; create that file or remove the link`,
      {
        cause,
      },
    );
  }
  throw new UsageError(
    `Image '${path}' cannot be created: ${messageOf(cause)}; choose a folder that is there, may be written and has room`,
    { cause },
  );
}
