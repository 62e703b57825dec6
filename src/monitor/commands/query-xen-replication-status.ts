/** query-xen-replication-status: QEMU's question whether replication runs and is sound. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { errorOfAll } from '../role-replication.ts';

export const queryXenReplicationStatus: Command = defineCommand({
  name: 'query-xen-replication-status',
  summary: 'Whether something is wrong with what replicates in this daemon, and what; query-replication tells more',
  arguments: z.strictObject({}),
  returns: z.strictObject({
    error: z.boolean().describe('something is wrong, or replication does not run'),
    desc: z.string().optional().describe('what is wrong'),
  }),
  run: (_args, daemon) => {
    const desc = errorOfAll(daemon);
    return desc === null ? { error: false } : { error: true, desc };
  },
});
