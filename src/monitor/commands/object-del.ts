/** object-del: forgets an object. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const objectDel: Command = defineCommand({
  name: 'object-del',
  summary: 'Forgets TLS credentials or a secret; what uses them keeps them',
  arguments: z.strictObject({ id: z.string().describe('the object') }),
  run: ({ id }, daemon) => daemon.objects.remove(id),
});
