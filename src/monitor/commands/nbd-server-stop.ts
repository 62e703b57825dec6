/** nbd-server-stop: closes all exports, then the NBD server. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const nbdServerStop: Command = defineCommand({
  name: 'nbd-server-stop',
  summary: 'Closes all exports with their connections, then the NBD server',
  arguments: z.strictObject({}),
  errors: ['`NBD server not running`', 'A timeout where requests do not come back from a disk; it can be tried again'],
  run: async (_args, daemon) => {
    await daemon.exports.stopServer();
  },
});
