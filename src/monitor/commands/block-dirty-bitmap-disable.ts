/** block-dirty-bitmap-disable: has a bitmap record nothing more; what it has recorded stays. */

import { BITMAP_ARGUMENTS, BITMAP_ERRORS, changeBitmap } from '../bitmap-command.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockDirtyBitmapDisable: Command = defineCommand({
  name: 'block-dirty-bitmap-disable',
  summary: 'Has a bitmap record nothing more; what it has recorded stays',
  arguments: BITMAP_ARGUMENTS,
  errors: BITMAP_ERRORS,
  run: (args, daemon) =>
    changeBitmap(args, daemon, bitmap => {
      bitmap.enabled = false;
    }),
});
