/** query-jobs: the jobs of the daemon. */

import * as z from 'zod';
import { JOB_STATUSES } from '../../jobs/job-status.ts';
import { type Command, defineCommand } from '../command.ts';

export const queryJobs: Command = defineCommand({
  name: 'query-jobs',
  summary: 'The jobs; progress counts bytes',
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      id: z.string(),
      type: z.string(),
      status: z.enum(JOB_STATUSES),
      'current-progress': z.int(),
      'total-progress': z.int(),
      error: z.string().optional(),
    }),
  ),
  run: (_args, daemon) =>
    daemon.jobs.infos().map(info => ({
      id: info.id,
      type: info.type,
      status: info.status,
      'current-progress': info.currentProgress,
      'total-progress': info.totalProgress,
      error: info.error,
    })),
});
