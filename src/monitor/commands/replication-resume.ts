/** replication-resume: ends the hold on a prepared primary. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const replicationResume: Command = defineCommand({
  name: 'replication-resume',
  summary: 'Lets the writes that a prepared primary holds go on; an error if the hold had expired',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    checkpoint: z.int().min(1).describe('its number'),
  }),
  errors: ['That the hold had expired: the checkpoint is void, abort it on the secondary'],
  run: ({ nodes, checkpoint }, daemon) => {
    daemon.replication.groupOf(nodes).resume(checkpoint);
  },
});
