/** The events of jobs. */

import * as z from 'zod';
import { JOB_STATUSES } from '../../jobs/job-status.ts';
import { JOB_TYPES } from '../../jobs/job-types.ts';
import type { EventDefinition } from './event-definition.ts';

const progress = {
  type: z.enum(JOB_TYPES).describe('what kind of job it is'),
  device: z.string().describe('the id of the job'),
  len: z.int().min(0).describe('bytes of the whole work'),
  offset: z.int().min(0).describe('bytes done'),
  speed: z.int().min(0).describe('limit in bytes a second; 0 is none'),
};

export type JobEventName =
  | 'JOB_STATUS_CHANGE'
  | 'BLOCK_JOB_READY'
  | 'BLOCK_JOB_PENDING'
  | 'BLOCK_JOB_COMPLETED'
  | 'BLOCK_JOB_CANCELLED'
  | 'BLOCK_JOB_ERROR';

export const JOB_EVENTS: Readonly<Record<JobEventName, EventDefinition>> = {
  JOB_STATUS_CHANGE: {
    summary: 'A job changed its status; `null` is its end.',
    data: z.strictObject({
      id: z.string().describe('the job'),
      status: z.enum(JOB_STATUSES).describe('its new status'),
    }),
  },
  BLOCK_JOB_READY: {
    summary: 'A job has caught up: `job-complete` lets it take effect.',
    data: z.strictObject(progress),
  },
  BLOCK_JOB_PENDING: {
    summary: 'A job with `auto-finalize` off has done its work: `job-finalize` lets it take effect.',
    data: z.strictObject({ type: progress.type, id: z.string().describe('the job') }),
  },
  BLOCK_JOB_COMPLETED: {
    summary: 'A job ended, well or badly.',
    data: z.strictObject({ ...progress, error: z.string().optional().describe('what went wrong, if anything did') }),
  },
  BLOCK_JOB_CANCELLED: {
    summary: 'A job was cancelled.',
    data: z.strictObject(progress),
  },
  BLOCK_JOB_ERROR: {
    summary: 'A request of a job failed.',
    data: z.strictObject({
      device: progress.device,
      operation: z.enum(['read', 'write']).describe('what failed'),
      action: z.enum(['ignore', 'report', 'stop']).describe('what the job does about it'),
    }),
  },
};
