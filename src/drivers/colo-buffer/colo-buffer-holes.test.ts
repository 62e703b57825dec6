/** What the buffer keeps of holes, and what a wide discard does to it, over disks that tell of their holes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { Driver, NodeDefinition } from '../../block/driver.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { memoryDriver } from '../memory/memory-node.ts';
import { nullDriver } from '../null/null-node.ts';
import { coloBufferDriver } from './colo-buffer-driver.ts';

const drivers: readonly Driver[] = [memoryDriver, nullDriver, coloBufferDriver];
const CHUNK = 65_536;
const PAGE = 4096;
const CHUNKS = 64;

/** A running buffer over `disk`, with the primary's and the standby's way to it. */
class Rig implements AsyncDisposable {
  readonly graph: BlockGraph;
  readonly primary: DiskClient;
  readonly standby: DiskClient;
  readonly #group: ConsistencyGroup;

  private constructor(graph: BlockGraph) {
    this.graph = graph;
    this.primary = new DiskClient(graph.node('disk'));
    this.standby = new DiskClient(graph.node('buffer'));
    this.#group = ConsistencyGroup.start([graph.node('buffer')], new SimulatedClock(), () => {});
  }

  static async open(disk: NodeDefinition): Promise<Rig> {
    const graph = new BlockGraph({ drivers });
    await graph.add({ ...disk, 'node-name': 'disk' });
    await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk', granularity: CHUNK });
    return new Rig(graph);
  }

  async checkpoint(n: number): Promise<void> {
    await this.#group.prepare(n, 1000);
    this.#group.do(n);
  }

  get buffer(): { readonly chunks: number; readonly memoryBytes: number } {
    return this.graph.node('buffer').replicationStatus()?.buffer ?? assert.fail();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.primary[Symbol.dispose]();
    this.standby[Symbol.dispose]();
    await this.graph[Symbol.asyncDispose]();
  }
}

test('the originals of a disk of holes that is discarded as a whole take no memory', async () => {
  await using rig = await Rig.open({ driver: 'null', size: 1024 ** 3 });
  await rig.primary.discard(0, 1024 ** 3);
  assert.equal(rig.buffer.chunks, 1024 ** 3 / CHUNK);
  assert.ok(rig.buffer.memoryBytes < 1024, `${rig.buffer.memoryBytes} bytes`);
});

test('a chunk that is a hole only in part keeps its data when it is discarded', async () => {
  await using rig = await Rig.open({ driver: 'memory', size: CHUNKS * CHUNK });
  const page = Buffer.alloc(PAGE, 5);
  await rig.primary.write(10 * CHUNK + 3 * PAGE, page);
  await rig.checkpoint(1);
  await rig.primary.discard(8 * CHUNK, 4 * CHUNK);
  assert.deepEqual(await rig.primary.read(10 * CHUNK + 3 * PAGE, PAGE), Buffer.alloc(PAGE));
  const expected = Buffer.alloc(4 * CHUNK);
  page.copy(expected, 2 * CHUNK + 3 * PAGE);
  assert.deepEqual(await rig.standby.read(8 * CHUNK, 4 * CHUNK), expected);
});

test('what the standby wrote stays when the primary discards the holes around it', async () => {
  await using rig = await Rig.open({ driver: 'memory', size: CHUNKS * CHUNK });
  const own = Buffer.alloc(CHUNK, 6);
  await rig.standby.write(20 * CHUNK, own);
  await rig.primary.discard(0, CHUNKS * CHUNK);
  assert.deepEqual(await rig.standby.read(20 * CHUNK, CHUNK), own);
  assert.deepEqual(await rig.standby.read(21 * CHUNK, CHUNK), Buffer.alloc(CHUNK));
});

test('a wide discard of the standby reads as zeroes, over originals and what it wrote itself as well', async () => {
  await using rig = await Rig.open({ driver: 'memory', size: CHUNKS * CHUNK });
  await rig.primary.write(5 * CHUNK, Buffer.alloc(CHUNK, 1));
  await rig.checkpoint(1);
  await rig.primary.write(5 * CHUNK, Buffer.alloc(CHUNK, 2));
  await rig.standby.write(6 * CHUNK, Buffer.alloc(CHUNK, 3));
  await rig.standby.discard(0, 32 * CHUNK);
  assert.deepEqual(await rig.standby.read(5 * CHUNK, 2 * CHUNK), Buffer.alloc(2 * CHUNK));
  await rig.primary.write(7 * CHUNK, Buffer.alloc(CHUNK, 4));
  assert.deepEqual(await rig.standby.read(7 * CHUNK, CHUNK), Buffer.alloc(CHUNK));
});
