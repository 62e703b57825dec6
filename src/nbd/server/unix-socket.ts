/**
 * Listening on a unix socket so that its path exists only while it can be connected to.
 *
 * The socket is bound under another name in the same folder, made private, and moved to its path once it listens;
 * that also replaces what a crashed process left behind.
 */

import { randomBytes } from 'node:crypto';
import { chmod, lstat, open, rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { EBUSY, ENOENT, errnoOf } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { listening } from './listening.ts';

/** What fits into sockaddr_un with its NUL; Node.js would cut a longer path silently. */
export const MAX_SOCKET_PATH_BYTES = 107;
/** Only the owner may connect. */
const SOCKET_MODE = 0o600;

/** Makes `server` listen at `path`. Throws UsageError naming the path and the remedy. Returns what removes the path. */
export async function listenOnPath(server: Server, path: string): Promise<() => Promise<void>> {
  if (path === '') throw new UsageError('The path of a unix socket is empty; give it one');
  if (path.startsWith('\0')) return listenOnName(server, path);
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new UsageError(
      `Socket path '${path}' has ${bytes} bytes, more than the ${MAX_SOCKET_PATH_BYTES} that Linux takes; use a shorter one`,
    );
  }
  await checkPathIsFree(path);
  const folder = dirname(path);
  const temporaryName = `.nbd-${randomBytes(4).toString('hex')}`;
  const temporaryPath = join(folder, temporaryName);
  // The folder's descriptor gives the temporary name a path that is short wherever the folder is.
  const handle = await open(folder, 'r').catch(cause => {
    const why = errnoOf(cause) === ENOENT ? 'No such file or directory' : messageOf(cause);
    throw new UsageError(`Failed to bind socket to ${path}: ${why}; create its folder or choose another path`, {
      cause,
    });
  });
  try {
    await listening(server, { path: `/proc/self/fd/${handle.fd}/${temporaryName}` }).catch(cause => {
      throw new UsageError(`Cannot create socket '${path}': ${messageOf(cause)}; check the rights of its folder`, {
        cause,
      });
    });
    await chmod(temporaryPath, SOCKET_MODE);
    const { ino, dev } = await lstat(temporaryPath);
    await rename(temporaryPath, path);
    return () => removeOwn(path, ino, dev);
  } catch (error) {
    server.close();
    await rm(temporaryPath, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** An abstract name is gone with its socket, and there is no file to protect. */
async function listenOnName(server: Server, name: string): Promise<() => Promise<void>> {
  const shown = `@${name.slice(1).replace(/\0+$/, '')}`;
  if (Buffer.byteLength(name) > MAX_SOCKET_PATH_BYTES + 1) {
    throw new UsageError(`Socket name '${shown}' is longer than Linux takes; use a shorter one`);
  }
  await listening(server, { path: name }).catch(cause => {
    throw new UsageError(`Cannot create socket '${shown}': ${messageOf(cause)}; choose another name`, { cause });
  });
  return async () => {};
}

/** Throws UsageError unless nothing is at `path`, or a socket that nobody listens on. */
async function checkPathIsFree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return;
  if (!found.isSocket()) throw new UsageError(`'${path}' exists and is not a socket; remove it or choose another path`);
  if (!(await isStale(path))) {
    throw new UsageError(`Socket '${path}' is in use; stop the process that listens there or choose another path`, {
      errno: EBUSY,
    });
  }
}

function isStale(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', error =>
      resolve('code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT')),
    );
  });
}

/** Removes `path` if it is still the socket that was put there, not one of a successor. */
async function removeOwn(path: string, ino: number, dev: number): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (found !== null && found.ino === ino && found.dev === dev) await rm(path, { force: true });
}
