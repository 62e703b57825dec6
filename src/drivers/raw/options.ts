/** Options of the `raw` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';
import { sizeOption } from '../size-option.ts';

export type RawOptions = {
  readonly file: NodeReference;
  readonly offset: number;
  /** Up to the end of `file` where it is left out. */
  readonly size?: number | undefined;
};

export const rawOptions: z.ZodType<RawOptions> = z.strictObject({
  file: nodeReference.describe('The node to show a part of'),
  offset: sizeOption.default(0).describe('Where the part begins'),
  size: sizeOption.optional().describe('Its size; up to the end if left out'),
});
