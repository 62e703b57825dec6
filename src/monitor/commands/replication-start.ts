/** replication-start: begins replication of one or more nodes as one group. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const replicationStart: Command = defineCommand({
  name: 'replication-start',
  summary: 'Starts replication: of replication nodes on the primary, of colo-buffer nodes on the secondary',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('`replication` nodes (primary) or `colo-buffer` nodes (secondary), one group'),
  }),
  errors: ["`Replication of node 'NODE' is running`", 'A node replicates once: add a new one to start again'],
  run: async ({ nodes }, daemon) => {
    daemon.replication.start(nodes);
  },
});
