/**
 * QEMU's view of replication: everything in the process that replicates in one role, as one.
 *
 * Its answers are QEMU's where it tells what went wrong; where it tells nothing, these do. A node that has been promoted,
 * a secondary that took over or is about to, is past: whatever is asked of it is done already.
 */

import { ColobusError } from '../base/errors.ts';
import type { BlockNode } from '../block/block-node.ts';
import type { ConsistencyGroup } from '../block/consistency-group.ts';
import type { ReplicationRole, ReplicationStatus } from '../block/replication-status.ts';
import { StandbyNode } from '../drivers/replication/standby-node.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import { takeOver } from './take-over.ts';

const NOT_RUNNING = 'Block replication is not running';
const RUNNING_OR_DONE = 'Block replication is running or done';
/** What QEMU calls the roles. */
const MODES: Readonly<Record<ReplicationRole, number>> = { primary: 0, secondary: 1 };
const CHECKPOINT_DEADLINE_MS = 1000;

/** Starts what is to replicate in `role`, as one group, or nothing and throws. Promoted nodes are left as they are. */
export function startRole(daemon: MonitoredDaemon, role: ReplicationRole): void {
  const statuses = inRole(allStatuses(daemon), role);
  for (const { nodeName, state } of statuses) {
    if (state === 'none') continue;
    throw new ColobusError(`${RUNNING_OR_DONE}: node '${nodeName}' is ${state}`);
  }
  if (statuses.length === 0) return;
  const names = statuses.map(status => status.nodeName);
  for (const node of daemon.graph.nodes()) {
    if (node instanceof StandbyNode && names.includes(node.buffer.name)) node.requireTop(daemon.graph.find(node.topId));
  }
  daemon.replication.start(names);
}

/**
 * Ends what replicates in `role`, all of it or nothing and throws; nothing happens where it has ended. With `failover`
 * a secondary takes over with image `checkpoint`, by a commit job for each node; a commit that failed begins again.
 */
export async function stopRole(daemon: MonitoredDaemon, role: ReplicationRole, failover: boolean): Promise<void> {
  const statuses = inRole(allStatuses(daemon), role).filter(({ state }) => state !== 'done');
  const retries = role === 'secondary' && failover;
  for (const { nodeName, state } of statuses) {
    if (state === 'none' || (state === 'failed' && !retries)) {
      throw new ColobusError(`${NOT_RUNNING}: node '${nodeName}' is ${state}`);
    }
  }
  for (const group of groupsOf(daemon, statuses)) {
    if (retries) await takeOver(group, 'checkpoint', undefined, daemon);
    else group.stop(null);
  }
}

/**
 * A checkpoint of what replicates here. A secondary prepares and does the next one; a primary has nothing to do, but
 * refuses where a write has not reached the other host.
 */
export async function checkpointAll(daemon: MonitoredDaemon): Promise<void> {
  const statuses = allStatuses(daemon).filter(status => !isPromoted(status) && status.state !== 'done');
  for (const status of statuses) {
    if (status.state === 'none' || status.state === 'failed') throw new ColobusError(NOT_RUNNING);
    const error = status.role === 'primary' ? errorOf(status) : null;
    if (error !== null) throw new ColobusError(`The checkpoint is refused: ${error}`);
  }
  const secondaries = statuses.filter(status => status.role === 'secondary');
  for (const group of groupsOf(daemon, secondaries)) {
    const next = group.checkpoint + 1;
    await group.prepare(next, CHECKPOINT_DEADLINE_MS);
    group.do(next);
  }
}

/** Why what replicates here is not as it should be, or null. */
export function errorOfAll(daemon: MonitoredDaemon): string | null {
  const statuses = daemon.replication.statuses();
  if (statuses.length === 0 || statuses.some(({ state }) => state === 'none')) return NOT_RUNNING;
  for (const status of statuses) {
    const error = errorOf(status);
    if (error !== null) return `I/O error occurred: ${error}`;
  }
  return null;
}

/** What went wrong with a node that replicates. */
function errorOf(status: ReplicationStatus): string | null {
  const { nodeName, state, children, dirtyBytes, images, role } = status;
  if (state === 'done') return null;
  const failed = children.find(child => child.error !== undefined);
  if (failed !== undefined) return `node '${nodeName}' is ${state}, '${failed.nodeName}': ${failed.error}`;
  if (state === 'degraded' || state === 'failed') return `node '${nodeName}' is ${state}`;
  if (dirtyBytes > 0) return `${dirtyBytes} bytes of node '${nodeName}' differ between the hosts`;
  const { available, reason } = images.checkpoint;
  if (role === 'secondary' && state === 'running' && !available) return `image checkpoint of '${nodeName}': ${reason}`;
  return null;
}

function allStatuses(daemon: MonitoredDaemon): readonly ReplicationStatus[] {
  const statuses = daemon.replication.statuses();
  if (statuses.length > 0) return statuses;
  throw new ColobusError(`${NOT_RUNNING}: there is no replication and no colo-buffer node; add one first`);
}

/** Those of `role` that are not past; throws where there are only others. */
function inRole(statuses: readonly ReplicationStatus[], role: ReplicationRole): readonly ReplicationStatus[] {
  const present = statuses.filter(status => !isPromoted(status));
  const wanted = present.filter(status => status.role === role);
  const [other] = present;
  if (wanted.length === 0 && other !== undefined) {
    const [needs, got] = [MODES[other.role], MODES[role]];
    throw new ColobusError(`The parameter mode's value is invalid, needs ${needs}, but got ${got}`);
  }
  return wanted;
}

function isPromoted({ role, state }: ReplicationStatus): boolean {
  return role === 'secondary' && (state === 'done' || state === 'failover');
}

function groupsOf(daemon: MonitoredDaemon, statuses: readonly ReplicationStatus[]): ReadonlySet<ConsistencyGroup> {
  const nodes = statuses.map((status): BlockNode => daemon.graph.node(status.nodeName));
  return new Set(nodes.map(node => daemon.replication.groupWith(node)));
}
