/** Options of the `overlay` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';

export type OverlayOptions = {
  readonly backing: NodeReference;
  /** `memory`, or the path of a file to keep what is written in. */
  readonly storage: string;
};

export const overlayOptions: z.ZodType<OverlayOptions> = z.strictObject({
  backing: nodeReference.describe('The node whose content shows through'),
  storage: z
    .string()
    .min(1, "is empty; give a path or 'memory'")
    .describe("'memory', or a path on the file system to keep writes on"),
});
