/** A child among a driver's options: a node-name, or the definition of a node. The graph checks the definition. */

import * as z from 'zod';
import type { NodeReference } from '../block/driver.ts';
import { alternate } from '../block/qapi-types.ts';

export const nodeReference: z.ZodType<NodeReference> = alternate('BlockdevRef', [
  z.string(),
  z.looseObject({ driver: z.string() }),
]);
