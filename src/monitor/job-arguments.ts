/** Arguments that the commands share which start a block job. */

import * as z from 'zod';
import type { BlockGraph } from '../block/block-graph.ts';
import { ON_ERROR_POLICIES } from '../jobs/error-policy.ts';
import type { NewJob } from '../jobs/job-list.ts';

export const onError: z.ZodType<(typeof ON_ERROR_POLICIES)[number]> = z.enum(ON_ERROR_POLICIES).default('report');

/** To be spread into a command's own arguments. */
export const jobArguments: {
  'job-id': z.ZodOptional<z.ZodString>;
  speed: z.ZodOptional<z.ZodInt>;
  'filter-node-name': z.ZodOptional<z.ZodString>;
  'auto-finalize': z.ZodOptional<z.ZodBoolean>;
  'auto-dismiss': z.ZodOptional<z.ZodBoolean>;
} = {
  'job-id': z.string().optional().describe('id of the job, needed here'),
  speed: z.int().optional().describe('limit in bytes a second; 0, the default, is none'),
  'filter-node-name': z.string().optional().describe("accepted as QEMU's scripts give it: no node is made for the job"),
  'auto-finalize': z.boolean().optional().describe('takes effect by itself when its work is done; true if left out'),
  'auto-dismiss': z.boolean().optional().describe('is forgotten by itself when it has ended; true if left out'),
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
