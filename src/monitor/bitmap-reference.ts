/** A dirty bitmap as commands name it: of the node the command is about, or of another one. */

import * as z from 'zod';
import { alternate } from '../block/qapi-types.ts';

export type BitmapReference = string | { readonly node: string; readonly name: string };

export const BITMAP_REFERENCE: z.ZodType<BitmapReference> = alternate('BlockDirtyBitmapOrStr', [
  z.string().describe('a bitmap of the node itself'),
  z.strictObject({
    node: z.string().describe('the node that has it'),
    name: z.string().describe('the bitmap'),
  }),
]);
