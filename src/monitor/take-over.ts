/** Takes over on the secondary: the disks of a group with one of their two images. */

import { UsageError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';
import type { ConsistencyGroup } from '../block/consistency-group.ts';
import type { TakeOverImage } from '../block/replication-status.ts';
import { startCommitJob } from '../jobs/commit-job.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';

const DEADLINE_MS = 5000;

/** The nodes that are taken over, and the ids of their commit jobs, where there are any. */
type Plan = { readonly nodes: readonly BlockNode[]; readonly jobIds: readonly string[] };

/**
 * Closes the writable exports of the disks and takes over with `image`. `latest` is complete on return, `checkpoint`
 * starts a commit job for each node, called `jobId` or commit-NODE. Everything that can be refused is refused before
 * anything is closed, and again before anything is taken over: meanwhile others may have changed it.
 */
export async function takeOver(
  group: ConsistencyGroup,
  image: TakeOverImage,
  jobId: string | undefined,
  daemon: MonitoredDaemon,
): Promise<void> {
  const plan = (): Plan => planTakeOver(group, image, jobId, daemon);
  await daemon.exports.closeWriters(plan().nodes.map(backingOf), DEADLINE_MS);
  const { nodes, jobIds } = plan();
  group.stop(image);
  for (const [index, id] of jobIds.entries()) startCommitJob(daemon.jobs, nodes[index] as BlockNode, { id });
}

function planTakeOver(
  group: ConsistencyGroup,
  image: TakeOverImage,
  jobId: string | undefined,
  daemon: MonitoredDaemon,
): Plan {
  // After a take-over only the nodes whose commit failed are left to be taken over again.
  const nodes = group.hasEnded ? group.nodes.filter(hasFailed) : group.nodes;
  for (const node of nodes) refuseUnavailable(node, image);
  const jobIds = image === 'checkpoint' ? commitJobIds(nodes, jobId) : [];
  daemon.jobs.checkIds(jobIds);
  return { nodes, jobIds };
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
