/** CopyRoots: the two roots through which a job copies from one node to another, and how much it may ask at once. */

import type { Clock } from '../base/clock.ts';
import { ColobusError, UsageError } from '../base/errors.ts';
import { BlockBackend } from '../block/block-backend.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../block/block-edge.ts';
import type { BlockNode } from '../block/block-node.ts';
import { idleInTime } from '../block/drain.ts';
import { strerror } from '../os/libc.ts';
import type { CopySides } from './range-copy.ts';
import { flushSide, SideError } from './side.ts';

const REQUEST_BYTES = 1024 * 1024;
/** How long the end of a job waits for requests in flight; what returns later is seen to then. */
const CLOSE_DEADLINE_MS = 5000;

export class CopyRoots {
  readonly source: BlockBackend;
  readonly target: BlockBackend;
  #isClosed = false;

  /** Throws UsageError where somebody else writes to `target`, or relies on it. */
  constructor(holder: string, source: BlockNode, target: BlockNode) {
    this.source = new BlockBackend(holder, source, READ_SHARED);
    try {
      this.target = new BlockBackend(holder, target, WRITE_EXCLUSIVE);
    } catch (error) {
      this.source.edge.detach();
      throw error;
    }
  }

  /** How ranges are copied whose borders are multiples of `granularityBytes`. */
  sides(granularityBytes: number): CopySides {
    const limits = [this.source.node.limits, this.target.node.limits];
    const most = Math.min(Math.max(REQUEST_BYTES, granularityBytes), ...limits.map(limit => limit.maxTransferBytes));
    const alignment = Math.max(...limits.map(limit => limit.requestAlignment));
    if (granularityBytes % alignment !== 0 || most < granularityBytes) {
      throw new UsageError(
        `Granularity ${granularityBytes} does not suit nodes that take requests of ${alignment} to ${most} bytes`,
      );
    }
    const requestBytes = most - (most % granularityBytes);
    return {
      source: this.source,
      target: this.target,
      requestBytes,
      targetIsZero: false,
      grainBytes: granularityBytes,
    };
  }

  /** Makes what was written to the target durable. Throws what a job says of it where that fails. */
  async flushTarget(): Promise<void> {
    try {
      await flushSide(this.target);
    } catch (error) {
      throw error instanceof SideError ? copyError(error) : error;
    }
  }

  /** Leaves the graph; nothing may be in flight. */
  detach(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const root of [this.source, this.target]) {
      root.close();
      root.detach();
    }
  }

  /**
   * Takes no more requests, and leaves the graph when those in flight have returned. Waits for that, but not for long:
   * not at all for a link of the target that was lost. Until then the nodes are in use, as who wants to use them is told.
   */
  async close(clock: Clock): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const closing = [this.source, this.target].map(root => {
      root.close();
      void root.idle().then(() => root.detach());
      // A side whose requests have returned keeps its limits, whatever the other does.
      if (root.inFlight === 0) return Promise.resolve();
      return idleInTime(root, CLOSE_DEADLINE_MS, clock, 'Requests did not return').catch(() => {});
    });
    if (this.target.inFlight > 0) this.target.node.stopWaiting();
    await Promise.all(closing);
  }
}

/** What a job says of a request that failed: QEMU's text, and then which request it was. */
export function copyError(error: SideError): ColobusError {
  const { errno, message, side } = error;
  return new ColobusError(`${strerror(errno)}: ${message} on node '${side.node.name}'`, { errno, cause: error });
}
