/** job-finalize: lets a pending job take effect. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobFinalize: Command = defineCommand({
  name: 'job-finalize',
  summary: 'Lets a pending job take effect, which one with auto-finalize off waits for',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => daemon.jobs.get(id).finalize(),
});
