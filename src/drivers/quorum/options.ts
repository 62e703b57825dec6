/** Options of the `quorum` driver. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';

/** A child has a bit in a mask (see unflushed-misses.ts). */
export const MAX_CHILDREN = 16;

export type ReadPattern = 'quorum' | 'fifo';

export type QuorumOptions = {
  readonly children: readonly NodeReference[];
  readonly 'vote-threshold': number;
  readonly 'read-pattern': ReadPattern;
  readonly blkverify: boolean;
  readonly 'rewrite-corrupted': boolean;
};

export const quorumOptions: z.ZodType<QuorumOptions> = z.strictObject({
  children: z
    .array(nodeReference)
    .max(MAX_CHILDREN, `a quorum has at most ${MAX_CHILDREN} children`)
    .describe('the copies of the disk, all of one size'),
  'vote-threshold': z.int().describe('how many children must agree on what is read and have stored what is written'),
  'read-pattern': z
    .enum(['quorum', 'fifo'])
    .default('quorum')
    .describe('compare what all children say, or take the answer of the first that has one'),
  blkverify: z.boolean().default(false).describe('two children that must never differ'),
  'rewrite-corrupted': z.boolean().default(false).describe('write what was agreed on to children that said otherwise'),
});

/** Throws UsageError in QEMU's words where the options do not fit together. */
export function checkQuorumOptions(options: QuorumOptions): void {
  const { children, 'vote-threshold': threshold } = options;
  if (children.length < 1) throw new UsageError('Number of provided children must be 1 or more');
  if (threshold < 1) throw new UsageError("Parameter 'vote-threshold' expects a value >= 1");
  if (threshold > children.length) throw new UsageError('threshold may not exceed children count');
  // With fifo nothing is compared, and QEMU takes these two as they come.
  if (options['read-pattern'] === 'fifo' || !options.blkverify) return;
  if (children.length !== 2 || threshold !== 2) {
    throw new UsageError('blkverify=on can only be set if there are exactly two files and vote-threshold is 2');
  }
  if (options['rewrite-corrupted']) throw new UsageError('rewrite-corrupted=on cannot be used with blkverify=on');
}
