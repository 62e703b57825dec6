/** block-dirty-bitmap-remove: ends a recording. */

import { BITMAP_ARGUMENTS, BITMAP_ERRORS } from '../bitmap-command.ts';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapRemove: Command = defineCommand({
  name: 'block-dirty-bitmap-remove',
  summary: 'Ends a recording and forgets it; refused while the bitmap is exported',
  arguments: BITMAP_ARGUMENTS,
  errors: BITMAP_ERRORS,
  run: ({ node, name }, daemon) => findNode(daemon.graph, node).bitmaps.remove(name),
});
