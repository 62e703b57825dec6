/** job-pause: makes a job wait at its next step. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobPause: Command = defineCommand({
  name: 'job-pause',
  summary: 'Makes a running job wait at its next step',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    daemon.jobs.get(id).pause();
  },
});
