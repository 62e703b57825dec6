/** query-commands: what this monitor can be told. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

/** `others` are the commands beside this one and `qmp_capabilities`. */
export function makeQueryCommands(others: readonly string[]): Command {
  const names = [...others, 'query-commands', 'qmp_capabilities'];
  return defineCommand({
    name: 'query-commands',
    summary: 'The names of all commands',
    arguments: z.strictObject({}),
    returns: z.array(z.strictObject({ name: z.string().describe('the command') })),
    run: () => names.map(name => ({ name })),
  });
}
