/** replication-checkpoint-abort: undoes a prepare. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const replicationCheckpointAbort: Command = defineCommand({
  name: 'replication-checkpoint-abort',
  summary: 'Undoes the prepare of a checkpoint; nothing happens where it is not prepared',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    checkpoint: z.int().min(1).describe('its number'),
  }),
  run: ({ nodes, checkpoint }, daemon) => {
    daemon.replication.groupOf(nodes).abort(checkpoint);
  },
});
