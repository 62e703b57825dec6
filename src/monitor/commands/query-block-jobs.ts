/** query-block-jobs: the jobs of the daemon, with what only block jobs have. */

import * as z from 'zod';
import { JOB_STATUSES } from '../../jobs/job-status.ts';
import { type Command, defineCommand } from '../command.ts';

export const queryBlockJobs: Command = defineCommand({
  name: 'query-block-jobs',
  summary: "The jobs, in the shape of QEMU's BlockJobInfo; `device` is the job's id",
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      type: z.string(),
      device: z.string(),
      len: z.int(),
      offset: z.int(),
      busy: z.boolean(),
      paused: z.boolean(),
      speed: z.int(),
      'io-status': z.enum(['ok', 'failed', 'nospace']),
      ready: z.boolean(),
      status: z.enum(JOB_STATUSES),
      'auto-finalize': z.boolean(),
      'auto-dismiss': z.boolean(),
      error: z.string().optional(),
    }),
  ),
  run: (_args, daemon) =>
    daemon.jobs.infos().map(info => ({
      type: info.type,
      device: info.id,
      len: info.totalProgress,
      offset: info.currentProgress,
      busy: false,
      paused: info.isPaused,
      speed: info.speed,
      'io-status': info.ioStatus,
      ready: info.isReady,
      status: info.status,
      'auto-finalize': info.autoFinalize,
      'auto-dismiss': info.autoDismiss,
      error: info.error,
    })),
});
