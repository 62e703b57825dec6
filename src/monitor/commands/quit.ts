/** quit: ends the daemon in order. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const quit: Command = defineCommand({
  name: 'quit',
  summary: 'Answers, then drains and ends the daemon; SHUTDOWN follows the answer',
  arguments: z.strictObject({}),
  run: (_args, daemon) => {
    daemon.quit();
  },
});
