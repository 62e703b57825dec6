/** Listening on a socket that somebody else has bound and made to listen, such as systemd. */

import { readFile, readlink } from 'node:fs/promises';
import type { Server } from 'node:net';
import { messageOf, UsageError } from '../../base/errors.ts';
import { listening } from './listening.ts';
import type { NbdAddress } from './nbd-server.ts';

/** Takes over descriptor `fd`, and returns the address it was bound to. Its path, if it has one, stays its owner's. */
export async function listenOnDescriptor(server: Server, fd: number): Promise<NbdAddress> {
  const path = await unixPathOf(fd);
  await listening(server, { fd }).catch(cause => {
    throw new UsageError(`Descriptor ${fd} is not a listening socket: ${messageOf(cause)}; check the socket unit`, {
      cause,
    });
  });
  const bound = server.address();
  return bound === null || typeof bound === 'string' ? { path } : { host: bound.address, port: bound.port };
}

/** The path of a bound unix socket, which the kernel tells by the socket's inode; '' where there is none. */
async function unixPathOf(fd: number): Promise<string> {
  const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/self/fd/${fd}`).catch(() => ''))?.[1];
  const sockets = await readFile('/proc/net/unix', 'utf8');
  for (const line of sockets.split('\n')) {
    const [, , , , , , lineInode, path] = line.split(' ').filter(field => field !== '');
    if (lineInode === inode && path !== undefined) return path;
  }
  return '';
}
