/** The options that every node has, whatever its driver: QEMU's BlockdevOptions. */

import * as z from 'zod';
import { UsageError } from '../base/errors.ts';
import type { BlockNode } from './block-node.ts';
import { type DiscardPolicy, RequestPolicy, type ZeroDetection } from './request-policy.ts';

export type CommonOptions = {
  readonly driver: string;
  readonly 'node-name'?: string | undefined;
  readonly 'read-only'?: boolean | undefined;
  /** A node that cannot be written to is opened read-only. */
  readonly 'auto-read-only'?: boolean | undefined;
  /** Others may write to the image meanwhile; what is defined with the node has it too. */
  readonly 'force-share'?: boolean | undefined;
  readonly discard?: DiscardPolicy | undefined;
  /** The page cache is used whatever `direct` says, and flushes are carried out whatever `no-flush` says. */
  readonly cache?: { readonly direct?: boolean | undefined; readonly 'no-flush'?: boolean | undefined } | undefined;
  readonly 'detect-zeroes'?: ZeroDetection | undefined;
};

export const COMMON_OPTIONS: {
  readonly driver: z.ZodString;
  readonly 'node-name': z.ZodOptional<z.ZodString>;
  readonly 'read-only': z.ZodOptional<z.ZodBoolean>;
  readonly 'auto-read-only': z.ZodOptional<z.ZodBoolean>;
  readonly 'force-share': z.ZodOptional<z.ZodBoolean>;
  readonly discard: z.ZodType<DiscardPolicy | undefined>;
  readonly cache: z.ZodType<CommonOptions['cache']>;
  readonly 'detect-zeroes': z.ZodType<ZeroDetection | undefined>;
} = {
  driver: z.string().describe('the driver'),
  'node-name': z
    .string()
    .optional()
    .describe('name of the node: a letter, then up to 30 letters, digits, `.`, `_` and `-`'),
  'read-only': z.boolean().optional().describe('refuses writes; false if left out'),
  'auto-read-only': z.boolean().optional().describe('opens the node read-only where it cannot be written to'),
  'force-share': z
    .boolean()
    .optional()
    .describe('lets others write to the image, also of nodes that are defined with this one; needs read-only'),
  discard: z
    .enum(['ignore', 'unmap'])
    .optional()
    .describe('ignore: a discard succeeds without effect, and zeroes leave no holes; unmap if left out'),
  cache: z
    .strictObject({
      direct: z.boolean().optional().describe('accepted for scripts, without effect: the page cache is used'),
      'no-flush': z.boolean().optional().describe('accepted for scripts, without effect: flushes are carried out'),
    })
    .optional()
    .describe('how the page cache of the host is used'),
  'detect-zeroes': z
    .enum(['off', 'on', 'unmap'])
    .optional()
    .describe('on: a write of zeroes becomes a write-zeroes; unmap: which may leave a hole; off if left out'),
};

/** Other keys are refused. */
export const commonOptions: z.ZodType<CommonOptions> = z.strictObject(COMMON_OPTIONS);

export function isCommonOption(key: string): boolean {
  return Object.hasOwn(COMMON_OPTIONS, key);
}

/** Throws UsageError in QEMU's words where the options cannot be had together. */
export function checkCommonOptions(options: CommonOptions): void {
  if (options['detect-zeroes'] === 'unmap' && options.discard !== 'unmap') {
    throw new UsageError(
      'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap; add discard=unmap',
    );
  }
  if (options['force-share'] === true && options['read-only'] !== true) {
    throw new UsageError('force-share=on can only be used with read-only images; add read-only=on');
  }
}

/** What `options` make of the requests to `node`; null where its driver gets all of them as they are. */
export function policyOf(node: BlockNode, options: CommonOptions): RequestPolicy | null {
  const { discard = 'unmap', 'detect-zeroes': detectZeroes = 'off' } = options;
  return discard === 'unmap' && detectZeroes === 'off' ? null : new RequestPolicy(node, discard, detectZeroes);
}

/** The options of a child that is defined with its parent, unless it has its own. */
export function inheritedOptions(parent: CommonOptions): { 'read-only'?: true; 'force-share'?: true } {
  return {
    ...(parent['read-only'] === true ? { 'read-only': true } : {}),
    ...(parent['force-share'] === true ? { 'force-share': true } : {}),
  };
}
