/** query-version: which QEMU's monitor is spoken, and the version of Colobus. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryVersion: Command = defineCommand({
  name: 'query-version',
  summary: 'The version of the monitor protocol and of Colobus',
  arguments: z.strictObject({}),
  run: (_args, daemon) => daemon.version,
});
