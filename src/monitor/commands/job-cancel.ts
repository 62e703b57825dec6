/** job-cancel: ends a job before its work is done. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const jobCancel: Command = defineCommand({
  name: 'job-cancel',
  summary:
    'Ends a job, also one that is paused or ready, once what it has in flight is done or, where it hangs, after 5 s; what it did stays done',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => {
    daemon.jobs.get(id).cancel({ force: true });
  },
});
