/** block-job-set-speed: changes how fast a job may go. */

import * as z from 'zod';
import { findBlockJob } from '../block-job-reference.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockJobSetSpeed: Command = defineCommand({
  name: 'block-job-set-speed',
  summary: 'Changes how many bytes a second a job may copy; 0 is no limit',
  arguments: z.strictObject({
    device: z.string().describe('the id of the job'),
    speed: z.int().describe('bytes a second; 0 is no limit'),
  }),
  run: ({ device, speed }, daemon) => {
    findBlockJob(daemon.jobs, device).setSpeed(speed);
  },
});
