/** block-dirty-bitmap-enable: has a bitmap record what is written from now on. */

import * as z from 'zod';
import { whileDrained } from '../../block/drain.ts';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapEnable: Command = defineCommand({
  name: 'block-dirty-bitmap-enable',
  summary: 'Has a bitmap record what is written from now on',
  arguments: z.strictObject({
    node: z.string().describe('the node'),
    name: z.string().describe('its bitmap'),
  }),
  errors: ["`Bitmap 'NAME' is currently in use by another operation and cannot be used`: it is exported"],
  run: async ({ node: nodeName, name }, daemon) => {
    const node = findNode(daemon.graph, nodeName);
    await whileDrained(node, daemon.clock, () => {
      node.bitmaps.checkUnused(name).enabled = true;
    });
  },
});
