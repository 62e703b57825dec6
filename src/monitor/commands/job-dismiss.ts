/** job-dismiss: forgets a job that has concluded. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobDismiss: Command = defineCommand({
  name: 'job-dismiss',
  summary: 'Forgets a concluded job that does not go by itself',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    daemon.jobs.get(id).dismiss();
  },
});
