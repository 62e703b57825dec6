/** block-dirty-bitmap-disable: has a bitmap record nothing more; what it has recorded stays. */

import * as z from 'zod';
import { whileDrained } from '../../block/drain.ts';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapDisable: Command = defineCommand({
  name: 'block-dirty-bitmap-disable',
  summary: 'Has a bitmap record nothing more; what it has recorded stays',
  arguments: z.strictObject({
    node: z.string().describe('the node'),
    name: z.string().describe('its bitmap'),
  }),
  errors: ["`Bitmap 'NAME' is currently in use by another operation and cannot be used`: it is exported"],
  run: async ({ node: nodeName, name }, daemon) => {
    const node = findNode(daemon.graph, nodeName);
    await whileDrained(node, daemon.clock, () => {
      node.bitmaps.checkUnused(name).enabled = false;
    });
  },
});
