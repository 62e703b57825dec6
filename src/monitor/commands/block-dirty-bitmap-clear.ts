/** block-dirty-bitmap-clear: makes a bitmap record from now on. */

import { BITMAP_ARGUMENTS, BITMAP_ERRORS, changeBitmap } from '../bitmap-command.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockDirtyBitmapClear: Command = defineCommand({
  name: 'block-dirty-bitmap-clear',
  summary: 'Makes a bitmap record from now on; refused while it is exported',
  arguments: BITMAP_ARGUMENTS,
  errors: BITMAP_ERRORS,
  run: (args, daemon) => changeBitmap(args, daemon, ({ bitmap }) => bitmap.clear()),
});
