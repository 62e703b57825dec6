/** When the buffer gives an image out of its hand, and when it refuses to. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { EIO } from '../../base/errno.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { ReplicationStatus } from '../../block/replication-status.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { type SimulatedDisk, simulatedDriver } from '../../sim/simulated-disk.ts';
import { coloBufferDriver } from './colo-buffer-driver.ts';

const CHUNK = 4096;

/** A running buffer over a disk of sevens whose requests a test moves. */
class Rig implements AsyncDisposable {
  readonly graph: BlockGraph;
  readonly disk: SimulatedDisk;
  readonly primary: DiskClient;
  readonly standby: DiskClient;
  readonly group: ConsistencyGroup;

  private constructor(graph: BlockGraph) {
    this.graph = graph;
    this.disk = graph.node('disk') as SimulatedDisk;
    this.primary = new DiskClient(this.disk, undefined, "export 'replica'");
    this.standby = new DiskClient(graph.node('buffer'));
    this.group = ConsistencyGroup.start([graph.node('buffer')], new SimulatedClock(), () => {});
  }

  static async open(): Promise<Rig> {
    const disks = new Map([['disk', Buffer.alloc(16 * CHUNK, 7)]]);
    const graph = new BlockGraph({ drivers: [simulatedDriver(disks), coloBufferDriver] });
    await graph.add({ driver: 'simulated', 'node-name': 'disk' });
    await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
    return new Rig(graph);
  }

  status(): ReplicationStatus {
    return this.graph.node('buffer').replicationStatus() ?? assert.fail();
  }

  /** The errno of a write of the primary that nothing delays. */
  async write(offset: number): Promise<number> {
    const written = this.primary.submit('write', offset, CHUNK, { buffer: Buffer.alloc(CHUNK, 9) });
    this.disk.settle();
    return await written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.standby[Symbol.dispose]();
    await this.graph[Symbol.asyncDispose]();
  }
}

test('no image is taken over while somebody can write the disk', async () => {
  await using rig = await Rig.open();
  for (const image of ['latest', 'checkpoint'] as const) {
    await assert.rejects(
      async () => rig.group.stop(image),
      /Node 'disk' is still written by export 'replica'; close that first/,
    );
    assert.equal(rig.status().state, 'running');
  }
  rig.primary[Symbol.dispose]();
  rig.group.stop('latest');
  assert.equal(rig.status().state, 'done');
});

test('image latest drops the buffer at once', async () => {
  await using rig = await Rig.open();
  assert.equal(await rig.write(0), 0);
  assert.equal(rig.status().buffer?.chunks, 1);
  rig.primary[Symbol.dispose]();
  rig.group.stop('latest');
  assert.equal(rig.status().buffer?.chunks, 0);
  const read = rig.standby.read(0, CHUNK);
  rig.disk.settle();
  assert.deepEqual(await read, Buffer.alloc(CHUNK, 9));
});

test('a read that is on its way when the checkpoint image is given up fails', async () => {
  await using rig = await Rig.open();
  const read = rig.standby.submit('read', 0, CHUNK, { buffer: Buffer.alloc(CHUNK) });
  const written = rig.primary.submit('write', 0, CHUNK, { buffer: Buffer.alloc(CHUNK, 9) });
  assert.deepEqual(
    rig.disk.waiting.map(request => request.kind),
    ['read', 'read'],
  );
  rig.disk.step(1, EIO);
  rig.disk.settle();
  assert.equal(await written, 0);
  assert.equal(rig.status().images.checkpoint.available, false);
  assert.equal(await read, EIO);
  rig.primary[Symbol.dispose]();
});

test('a checkpoint that is done can be done again, and no earlier number is taken', async () => {
  await using rig = await Rig.open();
  await rig.group.prepare(3, 1000);
  rig.group.do(3);
  assert.equal(await rig.write(0), 0);
  rig.group.do(3);
  assert.equal(rig.status().buffer?.chunks, 1);
  await assert.rejects(rig.group.prepare(3, 1000), /Checkpoint 3 of 'buffer' is not larger than the last one, 3/);
  assert.throws(() => rig.group.do(4), /Checkpoint 4 of 'buffer' is not prepared/);
  rig.primary[Symbol.dispose]();
});

test('no checkpoint is prepared once the disk could not store a write of the primary, who may not have been told', async () => {
  await using rig = await Rig.open();
  const written = rig.primary.submit('write', 0, CHUNK, { buffer: Buffer.alloc(CHUNK, 9) });
  rig.disk.step(0);
  rig.disk.step(0);
  rig.disk.step(0, EIO);
  assert.equal(await written, EIO);
  await assert.rejects(
    rig.group.prepare(1, 1000),
    /Node 'buffer' cannot prepare a checkpoint: a write of export 'replica' failed \(EIO\), so the disks differ/,
  );
  rig.primary[Symbol.dispose]();
});

test('a secondary that no primary has reached says so of both images, also after a checkpoint', async () => {
  await using rig = await Rig.open();
  const reasons = (): (string | undefined)[] => {
    const { latest, checkpoint } = rig.status().images;
    return [latest.reason, checkpoint.reason];
  };
  assert.match(reasons()[0] ?? '', /^no primary has connected/);
  await rig.group.prepare(1, 1000);
  rig.group.do(1);
  assert.match(reasons()[1] ?? '', /^no primary has connected/);
  rig.primary.backend.beginWriting();
  assert.deepEqual(reasons(), [undefined, undefined]);
});
