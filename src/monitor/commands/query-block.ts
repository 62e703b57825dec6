/** query-block: the devices of guests, of which a storage daemon has none. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryBlock: Command = defineCommand({
  name: 'query-block',
  summary: 'The devices of guests: there are none, as in qemu-storage-daemon; the nodes are in query-named-block-nodes',
  arguments: z.strictObject({}),
  returns: z.array(
    z.strictObject({
      device: z.string().describe('the device'),
      type: z.string().describe('what it is to the guest'),
      removable: z.boolean().describe('whether its medium can be taken out'),
      locked: z.boolean().describe('whether the guest has locked it'),
    }),
  ),
  run: () => [],
});
