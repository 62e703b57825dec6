/** xen-colo-do-checkpoint: QEMU's one-step checkpoint, for what replicates in this daemon. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';

const DEADLINE_MS = 1000;

export const xenColoDoCheckpoint: Command = defineCommand({
  name: 'xen-colo-do-checkpoint',
  summary: 'Prepares and does the next checkpoint of every secondary group of this daemon; nothing on a primary',
  arguments: z.strictObject({}),
  run: async (_args, daemon) => {
    const groups = daemon.replication.running();
    if (groups.length === 0) throw new UsageError('Block replication is not running');
    for (const group of groups) {
      if (group.role === 'primary') continue;
      const next = group.checkpoint + 1;
      await group.prepare(next, DEADLINE_MS);
      group.do(next);
    }
  },
});
