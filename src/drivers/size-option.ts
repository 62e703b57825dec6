/** A size or position among a driver's options: bytes, or text such as `64M`. */

import * as z from 'zod';
import { parseSize } from '../base/size.ts';
import { alternate } from '../block/qapi-types.ts';

export const sizeOption: z.ZodType<number> = alternate('integer', [
  z.int().min(0, { error: 'expects a non-negative number below 2^64' }),
  z.string().transform(text => parseSize(text, 'The size')),
]);
