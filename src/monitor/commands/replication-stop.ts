/** replication-stop: ends replication, or takes over with one of the standby's two images. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import type { BlockNode } from '../../block/block-node.ts';
import type { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { startCommitJob } from '../../jobs/commit-job.ts';
import { type Command, defineCommand } from '../command.ts';
import type { MonitoredDaemon } from '../monitored-daemon.ts';

const DEADLINE_MS = 5000;

export const replicationStop: Command = defineCommand({
  name: 'replication-stop',
  summary:
    'Ends replication. With `failover` the standby takes over: `image` latest drops the buffer and is complete when ' +
    'this returns, checkpoint starts a commit job per node, called `job-id` or commit-NODE',
  arguments: z.strictObject({
    nodes: z.array(z.string()).describe('all nodes of the group'),
    failover: z.boolean().default(false).describe('takes over: only on a secondary'),
    image: z
      .enum(['latest', 'checkpoint'])
      .optional()
      .describe('what the disk becomes, needed to take over: see [Roles and images](replication.md#roles-and-images)'),
    'job-id': z.string().optional().describe('id of the commit job, where there is one; `commit-NODE` if left out'),
  }),
  run: async (args, daemon) => {
    const group = daemon.replication.groupOf(args.nodes);
    const jobId = args['job-id'];
    if (args.failover !== true) {
      if (args.image !== undefined) throw new UsageError("Parameter 'image' is only for a failover; add failover true");
      if (jobId !== undefined) throw new UsageError("Parameter 'job-id' is only for a failover; add failover true");
      group.stop(null);
    } else {
      if (args.image === undefined) throw new UsageError("Parameter 'image' is missing");
      await takeOver(group, args.image, jobId, daemon);
    }
  },
});

/** Everything that can be refused is refused before anything is closed. */
async function takeOver(
  group: ConsistencyGroup,
  image: TakeOverImage,
  jobId: string | undefined,
  daemon: MonitoredDaemon,
): Promise<void> {
  // After a take-over only the nodes whose commit failed are left to be taken over again.
  const nodes = group.hasEnded ? group.nodes.filter(hasFailed) : group.nodes;
  for (const node of nodes) refuseUnavailable(node, image);
  const jobIds = image === 'checkpoint' ? commitJobIds(nodes, jobId) : [];
  for (const id of jobIds) daemon.jobs.checkId(id);
  await daemon.exports.closeWriters(nodes.map(backingOf), DEADLINE_MS);
  group.stop(image);
  for (const [index, id] of jobIds.entries()) startCommitJob(daemon.jobs, nodes[index] as BlockNode, { id });
}

function hasFailed(node: BlockNode): boolean {
  return node.replicationStatus()?.state === 'failed';
}

function refuseUnavailable(node: BlockNode, image: TakeOverImage): void {
  const status = node.replicationStatus();
  if (status?.role !== 'secondary') {
    throw new UsageError(`Node '${node.name}' is not a secondary; take over on the other host, or leave out failover`);
  }
  const { available, reason } = status.images[image];
  if (!available) {
    throw new UsageError(`Image '${image}' of node '${node.name}' is not available: ${reason ?? 'unknown reason'}`);
  }
}

function commitJobIds(nodes: readonly BlockNode[], jobId: string | undefined): readonly string[] {
  if (jobId === undefined) return nodes.map(node => `commit-${node.name}`);
  if (nodes.length > 1) {
    throw new UsageError(`Parameter 'job-id' names one job, and ${nodes.length} nodes are committed; leave it out`);
  }
  return [jobId];
}

/** The disk under a standby's buffer, with the buffer through which it may still be written. */
function backingOf(buffer: BlockNode): { readonly buffer: BlockNode; readonly backing: BlockNode } {
  const backing = buffer.children.get('backing')?.node;
  if (backing === undefined) throw new UsageError(`Node '${buffer.name}' has no backing node to take over`);
  return { buffer, backing };
}
