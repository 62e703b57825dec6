/** yank: closes connections that hang, past everything that waits for them. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { yankAll, yankInstance } from '../yank-instances.ts';

export const yank: Command = defineCommand({
  name: 'yank',
  summary: 'Closes the connections of nbd nodes and of chardevs at once; what waits for them fails',
  arguments: z.strictObject({
    instances: z.array(yankInstance).describe('whose connections are closed: all of these, or none'),
  }),
  allowOutOfBand: true,
  run: ({ instances }, daemon) => yankAll(daemon, instances),
});
