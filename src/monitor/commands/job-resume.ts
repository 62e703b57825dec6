/** job-resume: lets a paused job go on. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobResume: Command = defineCommand({
  name: 'job-resume',
  summary: 'Lets a paused job go on',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    daemon.jobs.get(id).resume();
  },
});
