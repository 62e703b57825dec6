/** query-jobs: the jobs of the daemon. */

import * as z from 'zod';
import { JOB_STATUSES } from '../../jobs/job-status.ts';
import { JOB_TYPES } from '../../jobs/job-types.ts';
import { type Command, defineCommand } from '../command.ts';

export const queryJobs: Command = defineCommand({
  name: 'query-jobs',
  summary: 'The jobs; progress counts bytes',
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      id: z.string().describe('the job'),
      type: z.enum(JOB_TYPES).describe('what it does'),
      status: z.enum(JOB_STATUSES).describe('where it stands'),
      'current-progress': z.int().describe('bytes done'),
      'total-progress': z.int().describe('bytes of the whole work, which may grow'),
      error: z.string().optional().describe('what went wrong'),
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
