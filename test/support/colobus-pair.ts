/**
 * ColobusPair: a replicated disk, or several, on two real `colobus storage-daemon` processes.
 *
 *   primary:   root0 (replication) → disk0 (file), link0 (nbd)      exports root0
 *   secondary: buffer0 (colo-buffer) → disk0 (file)                 exports replica0 (disk0) and view0 (buffer0)
 *
 * Further disks count on: root1, link1, … All disks are one consistency group and start as zeroes.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { ColobusError } from '../../src/base/errors.ts';
import type { NodeDefinition } from '../../src/block/driver.ts';
import type { TakeOverImage } from '../../src/block/replication-status.ts';
import type { QmpClient } from '../../src/monitor/index.ts';
import { Daemon } from './daemon.ts';
import { listeningPort } from './listening-port.ts';
import { type PairDisk, PairLayout } from './pair-layout.ts';

const COMMIT_MS = 60_000;

export type ColobusPairOptions = {
  /** An existing folder for sockets, and for images unless `disksDirectory` is given; the caller removes it. */
  readonly directory: string;
  readonly disksDirectory?: string;
  readonly sizeBytes: number;
  /** 1 unless given. */
  readonly disks?: number;
  /** Puts something on top of the local disk of the primary, such as a blkdebug node; the file itself unless given. */
  readonly primaryDisk?: (file: NodeDefinition, index: number) => NodeDefinition;
  /** The same on the secondary. */
  readonly secondaryDisk?: (file: NodeDefinition, index: number) => NodeDefinition;
  /** How the primary reaches the secondary; over a unix socket unless given, TCP on the loopback else. */
  readonly link?: 'unix' | 'tcp';
  /** A folder with certificates of both ends; makes the link and the views encrypted. */
  readonly tlsDirectory?: string;
  /** Further options of the replication nodes, of their nbd children, and of the buffers. */
  readonly replication?: Readonly<Record<string, unknown>>;
  readonly linkOptions?: Readonly<Record<string, unknown>>;
  readonly buffer?: Readonly<Record<string, unknown>>;
  /** Flags of node itself, on both sides. */
  readonly nodeFlags?: readonly string[];
};

/** What `query-replication` says of one node, as far as tests read it (docs/qmp.md). */
export type ReplicationReport = {
  readonly 'node-name': string;
  readonly state: string;
  readonly checkpoint: number;
  readonly prepared: number | null;
  readonly 'dirty-bytes': number;
  readonly writes: number;
  readonly children: readonly { readonly 'node-name': string; readonly state: string; readonly error?: string }[];
  readonly buffer?: {
    readonly 'original-bytes': number;
    readonly 'own-bytes': number;
    readonly chunks: number;
    readonly 'memory-bytes': number;
  };
  readonly images: Readonly<Record<TakeOverImage, { readonly available: boolean; readonly reason?: string }>>;
};

export type CheckpointTiming = {
  readonly checkpoint: number;
  /** From the first command sent to the last answer received, in milliseconds. */
  readonly sequenceMs: number;
  /** What the secondary's REPLICATION_CHECKPOINT says: from its prepare to its do, in microseconds. */
  readonly prepareToDoneUs: number;
};

export class ColobusPair implements AsyncDisposable {
  readonly primary: Daemon;
  readonly secondary: Daemon;
  readonly disks: readonly [PairDisk, ...PairDisk[]];
  #checkpoint = 0;

  private constructor(primary: Daemon, secondary: Daemon, disks: readonly PairDisk[]) {
    this.primary = primary;
    this.secondary = secondary;
    this.disks = disks as readonly [PairDisk, ...PairDisk[]];
  }

  /** Creates the images, starts both daemons and replication on all disks. */
  static async start(options: ColobusPairOptions): Promise<ColobusPair> {
    const layout = new PairLayout(options);
    await layout.createImages();
    const { directory, nodeFlags = [] } = options;
    const secondary = await Daemon.start({ directory, name: 'secondary', args: layout.secondaryArgs(), nodeFlags });
    try {
      const port = options.link === 'tcp' ? await listeningPort(secondary.pid) : null;
      const args = layout.primaryArgs(port);
      const primary = await Daemon.start({ directory, name: 'primary', args, nodeFlags });
      const pair = new ColobusPair(primary, secondary, layout.disks(port));
      try {
        await pair.secondary.qmp.execute('replication-start', { nodes: pair.buffers });
        await pair.primary.qmp.execute('replication-start', { nodes: pair.roots });
        return pair;
      } catch (error) {
        await primary[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      await secondary[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Node names of the replication nodes, one for each disk. */
  get roots(): readonly string[] {
    return this.disks.map((_disk, index) => `root${index}`);
  }

  /** Node names of the buffers, one for each disk. */
  get buffers(): readonly string[] {
    return this.disks.map((_disk, index) => `buffer${index}`);
  }

  /** One checkpoint of all disks, under whatever load there is. Aborted on both sides where a step is refused. */
  async checkpoint(): Promise<CheckpointTiming> {
    const checkpoint = ++this.#checkpoint;
    const onPrimary = { nodes: this.roots, checkpoint };
    const onSecondary = { nodes: this.buffers, checkpoint };
    const [primary, secondary] = [this.primary.qmp, this.secondary.qmp];
    const startMs = performance.now();
    try {
      const { writes } = await primary.execute<{ writes: object }>('replication-checkpoint-prepare', onPrimary);
      await secondary.execute('replication-checkpoint-prepare', { ...onSecondary, writes });
      await primary.execute('replication-resume', onPrimary);
      await secondary.execute('replication-checkpoint-do', onSecondary);
    } catch (error) {
      await Promise.allSettled([
        primary.execute('replication-checkpoint-abort', onPrimary),
        secondary.execute('replication-checkpoint-abort', onSecondary),
      ]);
      throw error;
    }
    const sequenceMs = performance.now() - startMs;
    return { checkpoint, sequenceMs, prepareToDoneUs: await durationUs(secondary, checkpoint) };
  }

  /** Checkpoints with `pauseMs` between them until `ended` settles; returns how many were taken. */
  async checkpointUntil(ended: Promise<unknown>, pauseMs: number): Promise<number> {
    let isOver = false;
    const over = ended.then(
      () => {},
      () => {},
    );
    void over.then(() => {
      isOver = true;
    });
    let checkpoints = 0;
    for (; !isOver; checkpoints++) {
      await this.checkpoint();
      await Promise.race([pause(pauseMs), over]);
    }
    return checkpoints;
  }

  /** A checkpoint of the secondary alone, by QEMU's command; returns the milliseconds it took. Nobody may write. */
  async checkpointSecondary(): Promise<number> {
    this.#checkpoint += 1;
    const startMs = performance.now();
    await this.secondary.qmp.execute('xen-colo-do-checkpoint');
    return performance.now() - startMs;
  }

  /** The secondary takes over with `image`; resolves when that is complete, the commit included. */
  async failOver(image: TakeOverImage): Promise<void> {
    const { qmp } = this.secondary;
    await qmp.execute('replication-stop', { nodes: this.buffers, failover: true, image });
    if (image === 'latest') return;
    for (const buffer of this.buffers) {
      const matches = (data: unknown) => isStatus(data, `commit-${buffer}`, 'concluded');
      await qmp.event('JOB_STATUS_CHANGE', { timeoutMs: COMMIT_MS, matches });
    }
    for (const { 'node-name': name, state } of await this.secondaryReports()) {
      if (state !== 'done') throw new ColobusError(`The take-over of ${name} ended in state '${state}'`);
    }
  }

  /** What the primary says about each of its disks. */
  async primaryReports(): Promise<readonly ReplicationReport[]> {
    return await this.primary.qmp.execute<ReplicationReport[]>('query-replication');
  }

  /** What the secondary says about each of its disks. */
  async secondaryReports(): Promise<readonly ReplicationReport[]> {
    return await this.secondary.qmp.execute<ReplicationReport[]>('query-replication');
  }

  /** SIGKILL, as a power cut of that host does it; resolves when the process is gone. */
  async killPrimary(): Promise<void> {
    await this.primary.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.primary[Symbol.asyncDispose]();
    await this.secondary[Symbol.asyncDispose]();
  }
}

async function durationUs(secondary: QmpClient, checkpoint: number): Promise<number> {
  const event = await secondary.event('REPLICATION_CHECKPOINT', {
    matches: data => (data as { checkpoint: number }).checkpoint === checkpoint,
  });
  return (event.data as { 'duration-us': number })['duration-us'];
}

function isStatus(data: unknown, id: string, status: string): boolean {
  const change = data as { id: string; status: string };
  return change.id === id && change.status === status;
}
