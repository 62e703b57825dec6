/** blockdev-add: opens a node. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const blockdevAdd: Command = defineCommand({
  name: 'blockdev-add',
  summary: 'Opens a node; the options beside these are those of its driver',
  arguments: z.looseObject({
    driver: z.string().describe('the driver'),
    'node-name': z
      .string()
      .optional()
      .describe('name of the node, needed here: a letter, then up to 30 letters, digits, `.`, `_` and `-`'),
  }),
  errors: [
    "`Duplicate nodes with node-name='NAME'`",
    "`Cannot find device='NAME' nor node-name='NAME'`: a child is not there",
    "`Parameter 'NAME' is unexpected`: the driver does not know that option",
  ],
  run: async ({ driver, 'node-name': nodeName, ...options }, daemon) => {
    await daemon.graph.add({ driver, ...(nodeName === undefined ? {} : { 'node-name': nodeName }), ...options });
  },
});
