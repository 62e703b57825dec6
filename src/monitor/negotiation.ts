/** qmp_capabilities: the first command of a client. Each session has its own, since what it changes is the session. */

import * as z from 'zod';
import { type Command, defineCommand } from './command.ts';

/** The command that calls `onNegotiated` with whether out-of-band execution was enabled. */
export function makeNegotiation(onNegotiated: (oobEnabled: boolean) => void): Command {
  return defineCommand({
    name: 'qmp_capabilities',
    summary: 'Ends capability negotiation; commands are accepted from then on, and events come',
    arguments: z.strictObject({
      enable: z
        .array(z.enum(['oob']))
        .optional()
        .describe('capabilities of the greeting that are to be used'),
    }),
    errors: [
      "CommandNotFound `Expecting capabilities negotiation with 'qmp_capabilities'`: another command came before it",
      'CommandNotFound `Capabilities negotiation is already complete, command ignored`',
    ],
    run: ({ enable }) => onNegotiated(enable?.includes('oob') ?? false),
  });
}
