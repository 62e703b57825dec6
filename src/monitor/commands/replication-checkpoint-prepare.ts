/** replication-checkpoint-prepare: step one of a checkpoint. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { type Command, defineCommand } from '../command.ts';

const DEFAULT_TIMEOUT_MS = 1000;
const MAX_TIMEOUT_MS = 60_000;

export const replicationCheckpointPrepare: Command = defineCommand({
  name: 'replication-checkpoint-prepare',
  summary:
    'Step one of a checkpoint. A primary answers how many writes it forwarded and holds new ones; ' +
    'a secondary given those counts as `writes` refuses unless it received as many',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    checkpoint: z.int().min(1).describe('number of the checkpoint, larger than the last'),
    'timeout-ms': z
      .int()
      .min(1)
      .max(MAX_TIMEOUT_MS)
      .default(DEFAULT_TIMEOUT_MS)
      .describe('how long a primary holds writes, and how long requests in flight may take'),
    writes: z
      .record(z.string(), z.int().min(0))
      .optional()
      .describe("on a secondary: the `writes` of the primary's answer, which are compared with what arrived"),
  }),
  returns: z.strictObject({
    checkpoint: z.int().optional().describe('primary: the number'),
    writes: z.record(z.string(), z.int().min(0)).optional().describe('primary: the writes forwarded, by node'),
  }),
  errors: [
    "`Node 'NODE' received N writes on this connection and the primary forwarded M`: abort on both sides",
    'That the primary is degraded or has dirty bytes: the two disks differ',
  ],
  run: async (args, daemon) => {
    const { nodes: names, checkpoint, writes } = args;
    const group = daemon.replication.groupOf(names);
    const primary = group.role === 'primary';
    if (writes !== undefined) {
      if (primary) throw new UsageError("Parameter 'writes' is for the secondary; a primary answers with its counts");
      refuseDifferentCounts(daemon.replication.nodesOf(names), writes);
    }
    await group.prepare(checkpoint, args['timeout-ms']);
    if (!primary) return {};
    return { checkpoint, writes: Object.fromEntries(group.nodes.map(node => [node.name, writesOf(node)])) };
  },
});

/**
 * Throws UsageError where a node received another number of writes than the primary forwarded. The primary's names
 * are usually others: then the counts are taken in the order of `nodes`.
 */
function refuseDifferentCounts(nodes: readonly BlockNode[], writes: Readonly<Record<string, number>>): void {
  const names = Object.keys(writes);
  const known = names.filter(name => nodes.some(node => node.name === name));
  if (names.length !== nodes.length || (known.length !== 0 && known.length !== nodes.length)) {
    throw new UsageError(
      `Parameter 'writes' has counts for ${names.join(', ') || 'nothing'}; ` +
        `it takes one for each of ${nodes.map(node => node.name).join(', ')}`,
    );
  }
  for (const [index, node] of nodes.entries()) {
    const forwarded = writes[known.length > 0 ? node.name : (names[index] as string)] as number;
    const received = writesOf(node);
    if (received !== forwarded) {
      throw new UsageError(
        `Node '${node.name}' received ${received} writes on this connection and the primary forwarded ${forwarded}; ` +
          'abort the checkpoint on both sides',
      );
    }
  }
}

function writesOf(node: BlockNode): number {
  return node.replicationStatus()?.writes ?? 0;
}
