/** block-job-complete: lets a job that is ready take effect. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobComplete: Command = defineCommand({
  name: 'block-job-complete',
  summary: 'Lets a job that is ready take effect, as job-complete does',
  arguments: z.strictObject({ device: z.string().describe('the id of the job') }),
  run: ({ device }, daemon) => {
    findBlockJob(daemon.jobs, device).complete();
  },
});
