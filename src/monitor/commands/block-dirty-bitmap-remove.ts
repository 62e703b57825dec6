/** block-dirty-bitmap-remove: ends a recording. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapRemove: Command = defineCommand({
  name: 'block-dirty-bitmap-remove',
  summary: 'Ends a recording and forgets it; refused while the bitmap is exported',
  arguments: z.strictObject({
    node: z.string().describe('the node'),
    name: z.string().describe('its bitmap'),
  }),
  errors: ["`Bitmap 'NAME' is currently in use by another operation and cannot be used`: it is exported"],
  run: ({ node, name }, daemon) => findNode(daemon.graph, node).bitmaps.remove(name),
});
