/** query-replication: where the replicating nodes stand. */

import * as z from 'zod';
import type { ReplicationStatus } from '../../block/replication-status.ts';
import { type Command, defineCommand } from '../command.ts';

export const queryReplication: Command = defineCommand({
  name: 'query-replication',
  summary: 'Where each node that replicates stands; answers at once, whatever disks and peers do',
  arguments: z.strictObject({}),
  run: (_args, daemon) => daemon.replication.statuses().map(describe),
});

function describe(status: ReplicationStatus): object {
  const { buffer } = status;
  return {
    'node-name': status.nodeName,
    role: status.role,
    state: status.state,
    checkpoint: status.checkpoint,
    prepared: status.prepared,
    'dirty-bytes': status.dirtyBytes,
    writes: status.writes,
    children: status.children.map(child => ({
      'node-name': child.nodeName,
      state: child.state,
      error: child.error,
    })),
    buffer:
      buffer === undefined
        ? undefined
        : {
            'original-bytes': buffer.originalBytes,
            'own-bytes': buffer.ownBytes,
            limit: buffer.limit,
            chunks: buffer.chunks,
            'memory-bytes': buffer.memoryBytes,
            'spilled-bytes': buffer.spilledBytes,
          },
    images: status.images,
  };
}
