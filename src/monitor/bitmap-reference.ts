/** A dirty bitmap as commands name it: of the node the command is about, or of another one. */

import * as z from 'zod';

export type BitmapReference = string | { readonly node: string; readonly name: string };

export const BITMAP_REFERENCE: z.ZodType<BitmapReference> = z.union([
  z.string(),
  z.strictObject({ node: z.string(), name: z.string() }),
]);
