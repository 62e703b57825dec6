/** nbd-server-remove: QEMU's older block-export-del. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const nbdServerRemove: Command = defineCommand({
  name: 'nbd-server-remove',
  summary: 'Deprecated, see block-export-del: closes the export whose id is `name`',
  arguments: z.strictObject({
    name: z.string().describe('id of the export'),
    mode: z.enum(['safe', 'hard']).default('safe').describe('hard: disconnects its clients'),
  }),
  run: async ({ name, mode }, daemon) => {
    await daemon.exports.delete(name, mode);
  },
});
