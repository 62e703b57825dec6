/** query-yank: the connections that `yank` can close. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { yankInstance, yankInstances } from '../yank-instances.ts';

export const queryYank: Command = defineCommand({
  name: 'query-yank',
  summary: 'The connections that yank can close',
  arguments: z.strictObject({}),
  returns: z.array(yankInstance),
  allowOutOfBand: true,
  run: (_args, daemon) => yankInstances(daemon),
});
