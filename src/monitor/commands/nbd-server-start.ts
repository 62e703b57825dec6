/** nbd-server-start: starts the daemon's NBD server. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { uint32 } from '../../block/qapi-types.ts';
import { type Command, defineCommand } from '../command.ts';
import { SOCKET_ADDRESS } from '../socket-address.ts';

export const nbdServerStart: Command = defineCommand({
  name: 'nbd-server-start',
  summary:
    'Starts the NBD server; a daemon has one. max-connections 0 is no limit; with tls-creds clients must encrypt',
  arguments: z.strictObject({
    addr: SOCKET_ADDRESS.describe('where it listens; the members of `data` may also stand beside `type`'),
    'tls-creds': z.string().optional().describe('id of TLS credentials: clients must encrypt then'),
    'max-connections': uint32().default(0).describe('most clients at a time; 0 leaves it to the server'),
  }),
  errors: ['`NBD server already running`', "`No TLS credentials with id 'ID'`", '`Failed to bind socket to PATH: …`'],
  run: async ({ addr, 'max-connections': maxConnections, 'tls-creds': id }, daemon) => {
    if (daemon.exports.server !== null) throw new UsageError('NBD server already running');
    const tls =
      id === undefined
        ? {}
        : { tls: { mode: 'require', credentials: daemon.objects.tlsCredentials(id, 'server') } as const };
    await daemon.exports.startServer(addr, { maxConnections, ...tls });
  },
});
