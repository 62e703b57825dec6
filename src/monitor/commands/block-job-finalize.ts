/** block-job-finalize: lets a pending job take effect. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobFinalize: Command = defineCommand({
  name: 'block-job-finalize',
  summary: 'Lets a pending job take effect, as job-finalize does',
  arguments: z.strictObject({ id: z.string().describe('the job') }),
  run: ({ id }, daemon) => findBlockJob(daemon.jobs, id).finalize(),
});
