/** nbd-server-stop: closes all exports, then the NBD server. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const nbdServerStop: Command = defineCommand({
  name: 'nbd-server-stop',
  summary: 'Closes all exports with their connections, then the NBD server',
  arguments: z.strictObject({}),
  run: async (_args, daemon) => {
    await daemon.exports.stopServer();
  },
});
