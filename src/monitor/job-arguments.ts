/** Arguments that the commands share which start a block job. */

import * as z from 'zod';
import type { BlockGraph } from '../block/block-graph.ts';
import { ON_ERROR_POLICIES, type OnError } from '../jobs/error-policy.ts';
import type { NewJob } from '../jobs/job-list.ts';

/** What a command does about requests of a job that fail; `what` says which. */
export function onErrorOf(what: string): z.ZodType<OnError> {
  return z
    .enum(ON_ERROR_POLICIES)
    .default('report')
    .describe(
      `what ${what} leads to: report ends the job, ignore tries again, stop pauses the job until it is resumed, ` +
        'enospc and auto stop where space is missing and report the rest',
    );
}

/** To be spread into a command's own arguments. */
export const jobArguments: {
  'job-id': z.ZodOptional<z.ZodString>;
  speed: z.ZodOptional<z.ZodInt>;
  'filter-node-name': z.ZodOptional<z.ZodString>;
  'auto-finalize': z.ZodOptional<z.ZodBoolean>;
  'auto-dismiss': z.ZodOptional<z.ZodBoolean>;
} = {
  'job-id': z.string().optional().describe('the id of the job; it cannot be left out, since no node here has a device'),
  speed: z.int().optional().describe('how many bytes a second are copied at most; 0, the default, is no limit'),
  'filter-node-name': z
    .string()
    .optional()
    .describe("for QEMU's sake: must be a name for a node, and no node is made, since a job needs none here"),
  'auto-finalize': z.boolean().optional().describe('false: a job that is done waits for job-finalize to take effect'),
  'auto-dismiss': z.boolean().optional().describe('false: a job that has concluded stays until job-dismiss'),
};

export type JobArguments = z.output<z.ZodObject<typeof jobArguments>>;

/** What of a new job the shared arguments say. Throws UsageError in QEMU's words where they cannot be. */
export function newJobFrom(
  args: JobArguments,
  graph: BlockGraph,
): Pick<NewJob, 'id' | 'speed' | 'autoFinalize' | 'autoDismiss'> {
  if (args['filter-node-name'] !== undefined) graph.checkName(args['filter-node-name']);
  return {
    id: args['job-id'] ?? '',
    speed: args.speed ?? 0,
    autoFinalize: args['auto-finalize'] ?? true,
    autoDismiss: args['auto-dismiss'] ?? true,
  };
}
