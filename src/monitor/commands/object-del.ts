/** object-del: forgets an object. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const objectDel: Command = defineCommand({
  name: 'object-del',
  summary: 'Forgets TLS credentials or a secret, which what uses them keeps, or a throttle group that no node is in',
  arguments: z.strictObject({ id: z.string().describe('the object') }),
  run: ({ id }, daemon) => daemon.objects.remove(id),
});
