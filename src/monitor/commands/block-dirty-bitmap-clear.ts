/** block-dirty-bitmap-clear: makes a bitmap record from now on. */

import * as z from 'zod';
import { whileDrained } from '../../block/drain.ts';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapClear: Command = defineCommand({
  name: 'block-dirty-bitmap-clear',
  summary: 'Makes a bitmap record from now on; refused while it is exported',
  arguments: z.strictObject({
    node: z.string().describe('the node'),
    name: z.string().describe('its bitmap'),
  }),
  errors: ["`Bitmap 'NAME' is currently in use by another operation and cannot be used`: it is exported"],
  run: async ({ node: nodeName, name }, daemon) => {
    const node = findNode(daemon.graph, nodeName);
    await whileDrained(node, daemon.clock, () => node.bitmaps.checkUnused(name).bitmap.clear());
  },
});
