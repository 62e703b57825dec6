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
  'job-id': z.string().optional(),
  /** Bytes a second; 0 is no limit. */
  speed: z.int().optional(),
  /** For QEMU's sake: no node is made for the job. */
  'filter-node-name': z.string().optional(),
  'auto-finalize': z.boolean().optional(),
  'auto-dismiss': z.boolean().optional(),
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
