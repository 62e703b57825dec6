/** blockdev-add: opens a node. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const blockdevAdd: Command = defineCommand({
  name: 'blockdev-add',
  summary: 'Opens a node; the options beside these are those of its driver',
  arguments: z.looseObject({ driver: z.string(), 'node-name': z.string().optional() }),
  run: async ({ driver, 'node-name': nodeName, ...options }, daemon) => {
    await daemon.graph.add({ driver, ...(nodeName === undefined ? {} : { 'node-name': nodeName }), ...options });
  },
});
