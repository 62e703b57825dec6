/** What others do while a take-over waits for the writes of the old primary. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { deferred } from '../base/deadline.ts';
import { type BlockRequest, releaseRequest, takeRequest } from '../block/block-request.ts';
import type { ConsistencyGroup } from '../block/consistency-group.ts';
import { ColobusDaemon } from '../daemon/colobus-daemon.ts';
import { coloBufferDriver } from '../drivers/colo-buffer/colo-buffer-driver.ts';
import { type SimulatedDisk, simulatedDriver } from '../sim/simulated-disk.ts';
import { takeOver } from './take-over.ts';

const CHUNK = 4096;
const NAMES = ['a', 'b'] as const;

/** Two disks with a buffer above each, which replicate, and a replica export of each disk. */
class Secondary implements AsyncDisposable {
  readonly daemon: ColobusDaemon;
  readonly group: ConsistencyGroup;
  readonly #jobsEnd = deferred<void>();

  private constructor(daemon: ColobusDaemon, group: ConsistencyGroup) {
    this.daemon = daemon;
    this.group = group;
  }

  static async start(): Promise<Secondary> {
    const disks = new Map(NAMES.map(name => [name, Buffer.alloc(16 * CHUNK, 7)]));
    const daemon = new ColobusDaemon({ drivers: [simulatedDriver(disks), coloBufferDriver] });
    await daemon.exports.startServer(null, { maxConnections: 0 });
    for (const name of NAMES) {
      await daemon.graph.add({ driver: 'simulated', 'node-name': name });
      await daemon.graph.add({ driver: 'colo-buffer', 'node-name': `buffer-${name}`, backing: name });
    }
    const buffers = NAMES.map(name => `buffer-${name}`);
    daemon.replication.start(buffers);
    const secondary = new Secondary(daemon, daemon.replication.groupOf(buffers));
    for (const name of NAMES) secondary.exportDisk(name);
    return secondary;
  }

  exportDisk(name: string): void {
    this.daemon.exports.add({ id: `replica-${name}`, nodeName: name, name: `replica-${name}`, writable: true });
  }

  disk(name: string): SimulatedDisk {
    return this.daemon.graph.node(name) as SimulatedDisk;
  }

  /** A request of the primary to disk `name` that stays in flight until the disk moves. */
  begin(name: string): Promise<void> {
    const replica = this.daemon.exports.server?.find(`replica-${name}`) ?? assert.fail();
    return new Promise(resolve => {
      const requestDone = (request: BlockRequest): void => {
        releaseRequest(request);
        resolve();
      };
      replica.backend.submit(takeRequest('flush', { requestDone }));
    });
  }

  /** Resolves when the export of disk `name` is gone. */
  async whenClosed(name: string): Promise<void> {
    while (this.daemon.exports.infos().some(({ nodeName }) => nodeName === name)) await setImmediate();
  }

  takeOver(): Promise<void> {
    return takeOver(this.group, 'checkpoint', undefined, this.daemon);
  }

  /** Starts a job called `id`, which goes on until the end. */
  startJob(id: string): void {
    this.daemon.jobs.start({ id, type: 'backup', node: this.disk('a'), work: { run: () => this.#jobsEnd.promise } });
  }

  states(): readonly (string | undefined)[] {
    return this.group.nodes.map(node => node.replicationStatus()?.state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const disks = NAMES.map(name => this.disk(name));
    const moves = setInterval(() => {
      for (const disk of disks) disk.settle();
    }, 1);
    this.#jobsEnd.resolve();
    await this.daemon[Symbol.asyncDispose]();
    clearInterval(moves);
  }
}

test('a take-over whose commit job lost its id while it waited takes nothing over', async () => {
  await using secondary = await Secondary.start();
  const written = secondary.begin('a');
  const takenOver = secondary.takeOver();
  secondary.startJob('commit-buffer-b');
  secondary.disk('a').settle();
  await written;
  await assert.rejects(takenOver, /Job ID 'commit-buffer-b' already in use/);
  assert.deepEqual(secondary.states(), ['running', 'running']);
});

test('a take-over for whose commit jobs there is no room takes nothing over', async () => {
  await using secondary = await Secondary.start();
  for (let i = 0; i < 255; i++) secondary.startJob(`job${i}`);
  await assert.rejects(secondary.takeOver(), /There are 255 jobs of at most 256/);
  assert.deepEqual(secondary.states(), ['running', 'running']);
  assert.equal(secondary.daemon.exports.infos().length, 2);
});

test('of two take-overs that wait at once one succeeds', async () => {
  await using secondary = await Secondary.start();
  const written = secondary.begin('a');
  const takenOver = [secondary.takeOver(), secondary.takeOver()];
  secondary.disk('a').settle();
  await written;
  const outcomes = await Promise.allSettled(takenOver);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  assert.deepEqual(
    secondary.daemon.jobs.infos().map(({ id }) => id),
    ['commit-buffer-a', 'commit-buffer-b'],
  );
});

test('who exports a disk anew while a take-over waits for another is closed out too', async () => {
  await using secondary = await Secondary.start();
  const written = secondary.begin('a');
  const takenOver = secondary.takeOver();
  await secondary.whenClosed('b');
  secondary.exportDisk('b');
  secondary.disk('a').settle();
  await written;
  await takenOver;
  assert.deepEqual(secondary.daemon.exports.infos(), []);
  assert.deepEqual(secondary.states(), ['failover', 'failover']);
});
