/** nbd-server-start: starts the daemon's NBD server. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { SOCKET_ADDRESS } from '../socket-address.ts';

export const nbdServerStart: Command = defineCommand({
  name: 'nbd-server-start',
  summary: 'Starts the NBD server; a daemon has one. max-connections 0 is no limit',
  arguments: z.strictObject({
    addr: SOCKET_ADDRESS,
    'max-connections': z.int().min(0).optional(),
  }),
  run: async ({ addr, 'max-connections': maxConnections }, daemon) => {
    await daemon.exports.startServer(addr, { maxConnections: maxConnections ?? 0 });
  },
});
