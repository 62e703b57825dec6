/** block-job-cancel: ends a job before its work is done. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobCancel: Command = defineCommand({
  name: 'block-job-cancel',
  summary: 'Ends a job; one that is ready keeps its copy and succeeds, unless `force` is given',
  arguments: z.strictObject({
    device: z.string().describe('the id of the job'),
    force: z.boolean().default(false).describe('ends also a job that is ready, without its effect'),
  }),
  run: ({ device, force }, daemon) => {
    findBlockJob(daemon.jobs, device).cancel({ force });
  },
});
