/** block-job-pause: makes a job wait at its next step. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobPause: Command = defineCommand({
  name: 'block-job-pause',
  summary: 'Makes a job wait once what it has in flight is done, as job-pause does',
  arguments: z.strictObject({ device: z.string().describe('the id of the job') }),
  run: ({ device }, daemon) => {
    findBlockJob(daemon.jobs, device).pause();
  },
});
