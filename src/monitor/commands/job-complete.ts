/** job-complete: lets a job that is ready take effect. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobComplete: Command = defineCommand({
  name: 'job-complete',
  summary: 'Lets a job that is ready take effect: the users of its source go over to its target',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    daemon.jobs.get(id).complete();
  },
});
