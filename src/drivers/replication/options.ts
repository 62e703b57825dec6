/** Options of the `replication` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';

export type OnRemoteError = 'degrade' | 'report';

export type ReplicationOptions = {
  readonly children: readonly NodeReference[];
  readonly 'on-remote-error': OnRemoteError;
};

const nodeReference = z.union([z.string(), z.looseObject({ driver: z.string() })]);

export const replicationOptions: z.ZodType<ReplicationOptions> = z.strictObject({
  children: z
    .array(nodeReference)
    .min(2, 'a replication node has a local child and at least one remote child')
    .describe('The copies: the first is the local disk and serves all reads, the others are on other hosts'),
  'on-remote-error': z
    .enum(['degrade', 'report'])
    .default('degrade')
    .describe('After a failed forward: acknowledge what is stored locally and recorded dirty, or fail every write'),
});
