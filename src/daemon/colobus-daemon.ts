/**
 * ColobusDaemon: a block graph with what serves and commands it: exports, jobs, replication, monitors.
 *
 * Whoever creates it waits for `quitRequested` and disposes it. Disposing drains, flushes and closes in order, each
 * step with a deadline, and removes every socket.
 */

import { type Clock, systemClock } from '../base/clock.ts';
import { deferred, withDeadline } from '../base/deadline.ts';
import { UsageError } from '../base/errors.ts';
import { type Logger, silentLogger } from '../base/logger.ts';
import { BlockGraph } from '../block/block-graph.ts';
import type { Driver } from '../block/driver.ts';
import { flushNode } from '../block/flush-node.ts';
import { JobList } from '../jobs/job-list.ts';
import type { JobInfo } from '../jobs/job-options.ts';
import { BlockExports } from '../monitor/block-exports.ts';
import { CharacterDevices } from '../monitor/character-devices.ts';
import { EventLimiter } from '../monitor/events/event-limiter.ts';
import { MonitorServer } from '../monitor/monitor-server.ts';
import type { MonitoredDaemon } from '../monitor/monitored-daemon.ts';
import { ProcessStats } from '../monitor/process-stats.ts';
import { QEMU_VERSION, type QmpEvent, type QmpVersion } from '../monitor/protocol/qmp-message.ts';
import { ReplicationGroups } from '../monitor/replication-groups.ts';
import { UserObjects } from '../monitor/user-objects.ts';
import { version } from './version.ts';

/** How long requests may take to return at the end; longer than an nbd node's default for its peer. */
const DRAIN_DEADLINE_MS = 8000;
/** How long each step of the shutdown may take before it is given up. */
const STEP_DEADLINE_MS = 15_000;
/** How long jobs may go on before the shutdown: a commit of a full buffer to a slow disk takes minutes. */
const JOBS_DEADLINE_MS = 600_000;
const MAX_MONITORS = 16;

/** Why a daemon ends, in the words of QEMU's SHUTDOWN event. */
export type QuitReason = 'host-qmp-quit' | 'host-signal';

export type ColobusDaemonOptions = {
  readonly drivers: readonly Driver[];
  readonly clock?: Clock;
  readonly logger?: Logger;
};

export class ColobusDaemon implements MonitoredDaemon, AsyncDisposable {
  readonly version: QmpVersion = { qemu: QEMU_VERSION, package: `colobus ${version}` };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly graph: BlockGraph;
  readonly objects: UserObjects;
  readonly exports: BlockExports;
  readonly chardevs: CharacterDevices = new CharacterDevices();
  readonly jobs: JobList;
  readonly replication: ReplicationGroups;
  readonly processStats: ProcessStats = new ProcessStats();
  readonly #monitors: MonitorServer[] = [];
  readonly #events: EventLimiter;
  readonly #quit = deferred<void>();
  #quitting = false;
  #unfinishedJobs: readonly JobInfo[] = [];
  #disposal: Promise<void> | null = null;

  constructor(options: ColobusDaemonOptions) {
    this.clock = options.clock ?? systemClock;
    this.logger = options.logger ?? silentLogger;
    const emit = (event: QmpEvent): void => this.emit(event);
    const { clock, logger } = this;
    this.#events = new EventLimiter(clock, (event, wallUs) => {
      for (const monitor of this.#monitors) monitor.notify(event, wallUs);
    });
    this.objects = new UserObjects(logger, clock, id => this.#userOfObject(id));
    const findObject = (id: string): unknown => this.objects.find(id);
    this.graph = new BlockGraph({ drivers: options.drivers, clock, logger, emit, findObject });
    this.exports = new BlockExports({ graph: this.graph, clock, logger, emit });
    this.jobs = new JobList(clock, emit);
    this.replication = new ReplicationGroups(this.graph, clock, emit);
  }

  /** Resolves when somebody asked the daemon to end. */
  get quitRequested(): Promise<void> {
    return this.#quit.promise;
  }

  /** Adds a monitor on the chardev called `chardevId`. Throws UsageError where there is none, or it has one. */
  addMonitor(chardevId: string, options: { readonly pretty?: boolean } = {}): void {
    if (this.#monitors.length >= MAX_MONITORS) {
      throw new UsageError(`A daemon has at most ${MAX_MONITORS} monitors; leave out that on '${chardevId}'`);
    }
    const device = this.chardevs.find(chardevId);
    if (device === undefined) throw new UsageError(`chardev "${chardevId}" not found; give its --chardev before`);
    if (device.isAttached) throw new UsageError(`Device '${chardevId}' is in use; give each monitor a chardev`);
    this.#monitors.push(new MonitorServer(device, this, options));
  }

  emit(event: QmpEvent): void {
    this.#events.emit(event);
  }

  /** Asks the daemon to end; the first reason counts. */
  quit(reason: QuitReason = 'host-qmp-quit'): void {
    if (this.#quitting) return;
    this.#quitting = true;
    // A monitor's client reads the answer to its `quit` before this event.
    setImmediate(() => {
      this.emit({ name: 'SHUTDOWN', data: { guest: false, reason } });
      this.#quit.resolve();
    });
  }

  /** Shuts down in order. Throws nothing: what a step could not do in time is logged and left to the kernel. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#shutDown();
    return this.#disposal;
  }

  /** The jobs that the daemon ended without: what they worked on is between two states. Known when it is disposed. */
  get unfinishedJobs(): readonly JobInfo[] {
    return this.#unfinishedJobs;
  }

  #userOfObject(id: string): string | null {
    if (this.exports.usesObject(id)) return 'the NBD server';
    const node = this.graph.userOfObject(id);
    return node === undefined ? null : `node '${node.name}'`;
  }

  async #shutDown(): Promise<void> {
    // A commit that is cut off leaves a disk that is neither image: it is finished first, or told of.
    // Where the step is given up, the jobs that still run are the unfinished ones.
    let unfinished: readonly JobInfo[] | null = null;
    const finish = async (): Promise<void> => {
      unfinished = await this.jobs.finishAll();
    };
    await this.#step('jobs', finish, JOBS_DEADLINE_MS);
    this.#unfinishedJobs = unfinished ?? this.jobs.unfinished();
    for (const job of this.#unfinishedJobs) this.logger.error({ job }, 'A job did not complete');
    await this.#step('unfinished jobs', () => this.jobs.cancelAll());
    await this.#step('replication', async () => {
      // Writes that a prepared primary holds must go on, or the exports would wait for them.
      for (const group of this.replication.running()) if (group.prepared !== null) group.abort(group.prepared);
    });
    await this.#step('exports', () => this.exports.close(DRAIN_DEADLINE_MS));
    for (const node of this.graph.nodes()) {
      if (node.parents.size > 0) continue;
      await this.#step(`node '${node.name}'`, () => flushNode(node, 'shutdown', DRAIN_DEADLINE_MS, this.clock));
    }
    await this.#step('nodes', () => this.graph[Symbol.asyncDispose]());
    await this.#step('monitors', async () => {
      await Promise.all(this.#monitors.map(monitor => monitor[Symbol.asyncDispose]()));
      await this.chardevs[Symbol.asyncDispose]();
    });
    this.#events[Symbol.dispose]();
    this.processStats[Symbol.dispose]();
  }

  async #step(what: string, close: () => Promise<void>, deadlineMs = STEP_DEADLINE_MS): Promise<void> {
    try {
      await withDeadline(close(), deadlineMs, this.clock, `not closed within ${deadlineMs} ms`);
    } catch (error) {
      this.logger.error({ what, err: error }, 'Something could not be closed in order');
    }
  }
}
