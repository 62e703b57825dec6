/** block-dirty-bitmap-enable: has a bitmap record what is written from now on. */

import { BITMAP_ARGUMENTS, BITMAP_ERRORS, changeBitmap } from '../bitmap-command.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockDirtyBitmapEnable: Command = defineCommand({
  name: 'block-dirty-bitmap-enable',
  summary: 'Has a bitmap record what is written from now on',
  arguments: BITMAP_ARGUMENTS,
  errors: BITMAP_ERRORS,
  run: (args, daemon) =>
    changeBitmap(args, daemon, bitmap => {
      bitmap.enabled = true;
    }),
});
