/** Options of the `throttle` driver. */

import * as z from 'zod';
import type { NodeReference } from '../../block/driver.ts';
import { nodeReference } from '../node-reference.ts';

export type ThrottleOptions = {
  readonly 'throttle-group': string;
  readonly file: NodeReference;
};

export const throttleOptions: z.ZodType<ThrottleOptions> = z.strictObject({
  'throttle-group': z.string().describe('id of the throttle-group object whose limits count'),
  file: nodeReference.describe('the node that requests are passed on to'),
});
