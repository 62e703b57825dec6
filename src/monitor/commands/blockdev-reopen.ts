/** blockdev-reopen: changes options of nodes while they are in use. */

import * as z from 'zod';
import type { NodeDefinition } from '../../block/driver.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockdevReopen: Command = defineCommand({
  name: 'blockdev-reopen',
  summary:
    'Changes options of nodes in use: read-only, the child of a filter, the group of a throttle node. Each definition is ' +
    'complete, as for blockdev-add; what it leaves out has its default',
  arguments: z.strictObject({
    options: z.array(z.looseObject({ driver: z.string(), 'node-name': z.string().optional() })),
  }),
  run: async ({ options }, daemon) => daemon.graph.reopen(options as readonly NodeDefinition[]),
});
