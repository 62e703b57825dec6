/** block-job-dismiss: forgets a job that has concluded. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobDismiss: Command = defineCommand({
  name: 'block-job-dismiss',
  summary: 'Forgets a concluded job, as job-dismiss does',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    findBlockJob(daemon.jobs, id).dismiss();
  },
});
