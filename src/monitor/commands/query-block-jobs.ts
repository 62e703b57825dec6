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
      type: z.string().describe('what it does'),
      device: z.string().describe('the id of the job'),
      len: z.int().describe('bytes of the whole work, which may grow'),
      offset: z.int().describe('bytes done'),
      busy: z.boolean().describe('always false'),
      paused: z.boolean().describe('whether it was paused'),
      speed: z.int().describe('limit in bytes a second; 0 is none'),
      'io-status': z.enum(['ok', 'failed', 'nospace']).describe('whether an error stopped it, and which'),
      ready: z.boolean().describe('whether it can be completed'),
      status: z.enum(JOB_STATUSES).describe('where it stands'),
      'auto-finalize': z.boolean().describe('whether it takes effect by itself'),
      'auto-dismiss': z.boolean().describe('whether it is forgotten by itself when it has ended'),
      error: z.string().optional().describe('what went wrong'),
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
