/** Options of the `memory` driver. */

import * as z from 'zod';
import { sizeOption } from '../size-option.ts';

export type MemoryOptions = { readonly size: number };

export const memoryOptions: z.ZodType<MemoryOptions> = z.strictObject({
  size: sizeOption.describe('Size of the disk'),
});
