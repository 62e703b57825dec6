/** The options that every node has, whatever its driver; those beyond `read-only` are accepted as QEMU's scripts give them. */

import * as z from 'zod';

const accepted = 'accepted for scripts, without effect';

export const COMMON_OPTIONS: {
  readonly driver: z.ZodString;
  readonly 'node-name': z.ZodOptional<z.ZodString>;
  readonly 'read-only': z.ZodOptional<z.ZodBoolean>;
  readonly 'auto-read-only': z.ZodOptional<z.ZodBoolean>;
  readonly discard: z.ZodType<'ignore' | 'unmap' | undefined>;
  readonly cache: z.ZodType<object | undefined>;
  readonly 'detect-zeroes': z.ZodType<'off' | 'on' | 'unmap' | undefined>;
} = {
  driver: z.string().describe('the driver'),
  'node-name': z
    .string()
    .optional()
    .describe('name of the node: a letter, then up to 30 letters, digits, `.`, `_` and `-`'),
  'read-only': z.boolean().optional().describe('refuses writes; false if left out'),
  'auto-read-only': z.boolean().optional().describe(accepted),
  discard: z.enum(['ignore', 'unmap']).optional().describe(accepted),
  cache: z
    .looseObject({
      direct: z.boolean().optional().describe(accepted),
      'no-flush': z.boolean().optional().describe(accepted),
    })
    .optional()
    .describe(accepted),
  'detect-zeroes': z.enum(['off', 'on', 'unmap']).optional().describe(accepted),
};
