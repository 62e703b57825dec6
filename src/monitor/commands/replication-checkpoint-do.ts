/** replication-checkpoint-do: step two of a checkpoint. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const replicationCheckpointDo: Command = defineCommand({
  name: 'replication-checkpoint-do',
  summary: 'Step two: the prepared checkpoint takes effect on all nodes; idempotent',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    checkpoint: z.int().min(1).describe('its number'),
  }),
  run: ({ nodes, checkpoint }, daemon) => {
    daemon.replication.groupOf(nodes).do(checkpoint);
  },
});
