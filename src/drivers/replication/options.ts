/** Options of the `replication` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';

export type OnRemoteError = 'degrade' | 'report';

export type ReplicationOptions = {
  readonly children: readonly NodeReference[];
  readonly 'on-remote-error': OnRemoteError;
};

export const replicationOptions: z.ZodType<ReplicationOptions> = z.strictObject({
  children: z
    .array(nodeReference)
    .min(2, 'a replication node has a local child and at least one remote child')
    .max(16, 'a replication node has at most 16 children')
    .describe('The copies: the first is the local disk and serves all reads, the others are on other hosts'),
  'on-remote-error': z
    .enum(['degrade', 'report'])
    .default('degrade')
    .describe('After a failed forward: acknowledge what is stored locally and recorded dirty, or fail every write'),
});
