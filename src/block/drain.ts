/** Drain: quiesce everything that can reach a node, within a deadline. */

import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import type { BlockBackend } from './block-backend.ts';
import type { BlockNode } from './block-node.ts';
import { Hurry } from './hurry.ts';

/** How long requests may take to return before a change of the graph is refused. */
const CHANGE_DEADLINE_MS = 5000;

/** The roots whose requests can reach `node` from above, by a way that does not lead through `except`. */
export function rootsAbove(node: BlockNode, except: BlockNode | null = null): Set<BlockBackend> {
  const roots = new Set<BlockBackend>();
  const visit = (at: BlockNode): void => {
    for (const edge of at.parents) {
      if (edge.backend !== null) roots.add(edge.backend);
      else if (edge.parent !== null && edge.parent !== except) visit(edge.parent);
    }
  };
  visit(node);
  return roots;
}

/**
 * Holds what `findRoots` finds, also those that come meanwhile, and waits until nothing of theirs is in flight at once.
 * Returns the function that lets them go on; throws ETIMEDOUT, with nothing held, when a request does not return in time.
 */
export async function drainRoots(
  findRoots: () => Iterable<BlockBackend>,
  deadlineMs: number,
  clock: Clock,
): Promise<() => void> {
  const endMs = clock.nowMs() + deadlineMs;
  const held = new Set<BlockBackend>();
  const hurry = new Hurry();
  const release = (): void => {
    hurry.end();
    for (const root of held) root.unhold();
  };
  const findBusy = (): BlockBackend | undefined => {
    for (const root of findRoots()) {
      if (held.has(root)) continue;
      held.add(root);
      root.hold();
      hurry.add(root.node);
    }
    // One that was idle may be busy again: a job goes on with what the requests of others wait for.
    return [...held].find(root => root.inFlight > 0);
  };
  try {
    for (let root = findBusy(); root !== undefined; root = findBusy()) {
      const message = `Requests of ${root.name} on node '${root.node.name}' did not return within ${deadlineMs} ms; look at the disk or peer below it`;
      await withDeadline(root.idle(), Math.max(0, endMs - clock.nowMs()), clock, message);
    }
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** Calls `act` while no request is in flight on `node`. Throws ETIMEDOUT, without having called it, where one stays. */
export async function whileDrained(node: BlockNode, clock: Clock, act: () => unknown): Promise<void> {
  const release = await drainRoots(() => rootsAbove(node), CHANGE_DEADLINE_MS, clock);
  try {
    await act();
  } finally {
    release();
  }
}

/** Waits in a hurry until nothing of `root` is in flight. Throws ETIMEDOUT with `message` where something stays. */
export async function idleInTime(root: BlockBackend, deadlineMs: number, clock: Clock, message: string): Promise<void> {
  const hurry = new Hurry();
  hurry.add(root.node);
  try {
    await withDeadline(root.idle(), deadlineMs, clock, message);
  } finally {
    hurry.end();
  }
}
