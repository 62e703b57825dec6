/** query-chardev: the character devices of the daemon. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryChardev: Command = defineCommand({
  name: 'query-chardev',
  summary: 'The chardevs of the command line; frontend-open tells whether a monitor is on them',
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      label: z.string().describe('its id'),
      filename: z.string().describe('what it is, and where'),
      'frontend-open': z.boolean().describe('whether a monitor is on it'),
    }),
  ),
  run: (_args, daemon) =>
    daemon.chardevs.list().map(device => ({
      label: device.id,
      filename:
        device.clients === 0 && device.filename !== 'null' ? `disconnected:${device.filename}` : device.filename,
      'frontend-open': device.isAttached,
    })),
});
