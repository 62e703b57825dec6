/** query-replication: where the replicating nodes stand. */

import * as z from 'zod';
import type { ReplicationStatus } from '../../block/replication-status.ts';
import { type Command, defineCommand } from '../command.ts';

const amount = z.int().min(0);

const IMAGE = z.strictObject({
  available: z.boolean().describe('whether a take-over with it can be asked for'),
  reason: z.string().optional().describe('why it cannot, or what speaks against it'),
});

const STATUS = z.strictObject({
  'node-name': z.string().describe('the node'),
  role: z.enum(['primary', 'secondary']).describe('what it replicates as'),
  state: z
    .enum(['none', 'running', 'degraded', 'failover', 'done', 'failed'])
    .describe('where it stands, see [States](replication.md#states)'),
  checkpoint: amount.describe('number of the last checkpoint that was done; 0 after the start'),
  prepared: amount.nullable().describe('number of the checkpoint that is prepared, or null'),
  'dirty-bytes': amount.describe('bytes that may differ between the copies'),
  writes: amount.describe('primary: writes forwarded; secondary: writes received on the present connection'),
  children: z
    .array(
      z.strictObject({
        'node-name': z.string().describe('the node of the copy'),
        state: z.enum(['ok', 'failed', 'closed']).describe('how it is'),
        error: z.string().optional().describe('what failed'),
      }),
    )
    .describe('the copies, the local one first'),
  buffer: z
    .strictObject({
      'original-bytes': amount.describe("bytes of the view that were kept before the primary's writes"),
      'own-bytes': amount.describe('bytes of the view that the standby wrote'),
      limit: amount.describe('bytes of memory the buffer may take'),
      chunks: amount.describe('chunks with an entry'),
      'memory-bytes': amount.describe('bytes of memory it takes'),
      'spilled-bytes': amount.describe('bytes it has on disk'),
    })
    .optional()
    .describe('the COLO buffer of a secondary'),
  images: z
    .strictObject({
      latest: IMAGE.describe('every write that arrived'),
      checkpoint: IMAGE.describe("the last checkpoint and the standby's own writes"),
    })
    .describe('what a take-over could begin with'),
});

export const queryReplication: Command = defineCommand({
  name: 'query-replication',
  summary: 'Where each node that replicates stands; answers at once, whatever disks and peers do',
  arguments: z.strictObject({}),
  returns: z.array(STATUS),
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
