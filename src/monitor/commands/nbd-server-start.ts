/** nbd-server-start: starts the daemon's NBD server. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { SOCKET_ADDRESS } from '../socket-address.ts';

export const nbdServerStart: Command = defineCommand({
  name: 'nbd-server-start',
  summary:
    'Starts the NBD server; a daemon has one. max-connections 0 is no limit; with tls-creds clients must encrypt',
  arguments: z.strictObject({
    addr: SOCKET_ADDRESS,
    'max-connections': z.int().min(0).optional(),
    'tls-creds': z.string().optional(),
  }),
  run: async ({ addr, 'max-connections': maxConnections = 0, 'tls-creds': id }, daemon) => {
    const tls =
      id === undefined
        ? {}
        : { tls: { mode: 'require', credentials: daemon.objects.tlsCredentials(id, 'server') } as const };
    await daemon.exports.startServer(addr, { maxConnections, ...tls });
  },
});
