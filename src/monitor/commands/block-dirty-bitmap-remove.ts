/** block-dirty-bitmap-remove: ends a recording. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const blockDirtyBitmapRemove: Command = defineCommand({
  name: 'block-dirty-bitmap-remove',
  summary: 'Ends a recording and forgets it; refused while the bitmap is exported',
  arguments: z.strictObject({ node: z.string(), name: z.string() }),
  run: ({ node, name }, daemon) => daemon.graph.node(node).bitmaps.remove(name),
});
