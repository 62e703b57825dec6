/** query-jobs: the jobs of the daemon. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryJobs: Command = defineCommand({
  name: 'query-jobs',
  summary: 'The jobs; progress counts bytes',
  arguments: z.strictObject({}),
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
