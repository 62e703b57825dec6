/** A size or position among a driver's options: bytes, or text such as `64M`. */

import * as z from 'zod';
import { parseSize } from '../base/size.ts';

export const sizeOption: z.ZodType<number> = z.union([
  z.int().min(0),
  z.string().transform(text => parseSize(text, 'The size')),
]);
