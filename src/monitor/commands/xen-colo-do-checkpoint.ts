/** xen-colo-do-checkpoint: QEMU's one-step checkpoint, for what replicates in this daemon. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';
import { checkpointAll } from '../role-replication.ts';

export const xenColoDoCheckpoint: Command = defineCommand({
  name: 'xen-colo-do-checkpoint',
  summary:
    'Prepares and does the next checkpoint of everything that replicates here as a secondary; on a primary, refuses ' +
    'where a write has not reached the other host',
  arguments: z.strictObject({}),
  run: (_args, daemon) => checkpointAll(daemon),
});
