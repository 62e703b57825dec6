/** Options of the `colo-buffer` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';
import { sizeOption } from '../size-option.ts';

export type ColoBufferOptions = {
  readonly backing: NodeReference;
  readonly granularity: number;
  readonly limit: number;
  readonly 'soft-limit': number;
  readonly spill?: string | undefined;
  readonly 'on-full': 'invalidate' | 'spill';
  readonly 'on-error': 'invalidate' | 'fail-write';
};

const MIN_GRANULARITY = 512;
const MAX_GRANULARITY = 1024 * 1024;
const DEFAULT_LIMIT = 1024 ** 3;

export const coloBufferOptions: z.ZodType<ColoBufferOptions> = z
  .strictObject({
    backing: nodeReference.describe('The disk whose last checkpoint the buffer shows'),
    granularity: sizeOption
      .refine(
        bytes => Number.isInteger(Math.log2(bytes)) && bytes >= MIN_GRANULARITY && bytes <= MAX_GRANULARITY,
        `the granularity is a power of two from ${MIN_GRANULARITY} to ${MAX_GRANULARITY}`,
      )
      .default(4096)
      .describe('Bytes of a chunk'),
    limit: sizeOption.default(DEFAULT_LIMIT).describe('Most memory for chunks, in bytes'),
    'soft-limit': sizeOption.optional().describe('Memory at which a checkpoint is asked for; half of limit'),
    spill: z.string().min(1).optional().describe('File that takes the chunks beyond limit'),
    'on-full': z.enum(['invalidate', 'spill']).optional().describe('At the limit: give the image up, or spill'),
    'on-error': z
      .enum(['invalidate', 'fail-write'])
      .default('invalidate')
      .describe('After a failed copy of an original: give the image up, or fail the primary’s write'),
  })
  .refine(options => options['on-full'] !== 'spill' || options.spill !== undefined, {
    path: ['spill'],
    message: 'on-full=spill needs the path of a spill file',
  })
  .transform(options => ({
    ...options,
    'soft-limit': options['soft-limit'] ?? Math.floor(options.limit / 2),
    'on-full': options['on-full'] ?? (options.spill === undefined ? 'invalidate' : 'spill'),
  }));
