/** block-job-resume: lets a paused job go on. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobResume: Command = defineCommand({
  name: 'block-job-resume',
  summary: 'Lets a job go on that was paused by a user or by an error, as job-resume does',
  arguments: z.strictObject({ device: z.string().describe('the id of the job') }),
  run: ({ device }, daemon) => {
    findBlockJob(daemon.jobs, device).resume();
  },
});
