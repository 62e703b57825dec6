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
    options: z
      .array(
        z.looseObject({
          driver: z.string().describe('the driver, which stays'),
          'node-name': z.string().optional().describe('the node'),
        }),
      )
      .describe('the new definitions, each with all its options'),
  }),
  errors: ["`Cannot change the option 'NAME'`: that option is fixed when the node is added"],
  run: async ({ options }, daemon) => daemon.graph.reopen(options as readonly NodeDefinition[]),
});
