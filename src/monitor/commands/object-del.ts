/** object-del: forgets an object. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const objectDel: Command = defineCommand({
  name: 'object-del',
  summary: 'Forgets TLS credentials, a secret or a throttle group, unless a server or node uses it',
  arguments: z.strictObject({ id: z.string().describe('the object') }),
  run: ({ id }, daemon) => daemon.objects.remove(id),
});
