/** block-dirty-bitmap-clear: makes a bitmap record from now on. */

import * as z from 'zod';
import { whileDrained } from '../../block/drain.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockDirtyBitmapClear: Command = defineCommand({
  name: 'block-dirty-bitmap-clear',
  summary: 'Makes a bitmap record from now on; refused while it is exported',
  arguments: z.strictObject({ node: z.string(), name: z.string() }),
  run: async ({ node: nodeName, name }, daemon) => {
    const node = daemon.graph.node(nodeName);
    await whileDrained(node, daemon.clock, () => node.bitmaps.checkUnused(name).bitmap.clear());
  },
});
