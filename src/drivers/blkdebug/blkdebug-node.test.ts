import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { EIO, ENOSPC } from '../../base/errno.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { memoryDriver } from '../memory/memory-node.ts';
import { blkdebugDriver } from './blkdebug-node.ts';

class Scene implements AsyncDisposable {
  readonly clock: ManualClock;
  readonly disk: DiskClient;
  readonly #graph: BlockGraph;

  private constructor(clock: ManualClock, graph: BlockGraph, disk: DiskClient) {
    this.clock = clock;
    this.#graph = graph;
    this.disk = disk;
  }

  static async open(options: object): Promise<Scene> {
    const clock = new ManualClock();
    const graph = new BlockGraph({ drivers: [memoryDriver, blkdebugDriver], clock });
    const image = { driver: 'memory', size: 65_536 };
    const node = await graph.add({ driver: 'blkdebug', 'node-name': 'debug', image, ...options });
    return new Scene(clock, graph, new DiskClient(node));
  }

  /** Submits a write of 4096 ones; the answer comes when time has passed. */
  write(offset: number, fua = false): Promise<number> {
    return this.disk.submit('write', offset, 4096, { buffer: Buffer.alloc(4096, 1), fua });
  }

  /** What a request answers within a second. */
  async soon(answer: Promise<number>): Promise<number> {
    this.clock.advance(1000);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disk[Symbol.dispose]();
    await this.#graph[Symbol.asyncDispose]();
  }
}

test('an event fails the requests it happens at, and no others', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'write_aio', errno: ENOSPC }] });
  assert.equal(await scene.soon(scene.write(0)), ENOSPC);
  assert.equal(await scene.soon(scene.write(4096)), ENOSPC);
  assert.deepEqual(await scene.disk.read(0, 8192), Buffer.alloc(8192));
  await scene.disk.writeZeroes(0, 4096);
  await scene.disk.flush();
});

test('without an errno the failure is EIO', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'read_aio' }] });
  assert.equal(await scene.soon(scene.disk.submit('read', 0, 1, { buffer: Buffer.alloc(1) })), EIO);
});

test('a rule for one sector and one I/O type hits only what it names', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'none', iotype: 'write', sector: 8 }] });
  assert.equal(await scene.write(0), 0);
  assert.equal(await scene.soon(scene.write(4096)), EIO);
  assert.equal(await scene.write(8192), 0);
  await scene.disk.read(0, 16_384);
});

test('a rule with once hits once', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'pwritev', once: true, immediately: true }] });
  assert.equal(await scene.write(0), EIO);
  assert.equal(await scene.write(0), 0);
});

test('a block-status is hit only by a rule that names it', async () => {
  await using all = await Scene.open({ 'inject-error': [{ event: 'none', immediately: true }] });
  await all.disk.blockStatus(0, 4096);
  await using named = await Scene.open({
    'inject-error': [{ event: 'none', iotype: 'block-status', immediately: true }],
  });
  await assert.rejects(named.disk.blockStatus(0, 4096), { errno: EIO });
});

test('of a torn write the first bytes reach the image although it fails', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'write_aio', torn: 1000, once: true }] });
  assert.equal(await scene.soon(scene.write(0)), EIO);
  assert.ok((await scene.disk.read(0, 4096)).equals(Buffer.alloc(4096).fill(1, 0, 1000)));
});

test('a delayed request takes effect after its delay and not before', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'write_aio', errno: 0, 'delay-ms': 50 }] });
  const answer = scene.write(0);
  scene.clock.advance(49);
  assert.equal(scene.disk.backend.inFlight, 1);
  assert.deepEqual(await scene.disk.read(0, 4096), Buffer.alloc(4096));
  scene.clock.advance(1);
  assert.equal(scene.disk.backend.inFlight, 0);
  assert.equal(await answer, 0);
  assert.deepEqual(await scene.disk.read(0, 4096), Buffer.alloc(4096, 1));
});

test('a failed flush is never followed by a successful one', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'flush_to_disk', once: true }] });
  assert.equal(await scene.write(0), 0);
  assert.equal(await scene.soon(scene.disk.submit('flush', 0, 0)), EIO);
  assert.equal(await scene.soon(scene.disk.submit('flush', 0, 0)), EIO);
  assert.equal(await scene.soon(scene.write(0)), EIO);
  assert.deepEqual(await scene.disk.read(0, 4096), Buffer.alloc(4096, 1));
});

test('a write with FUA contains a flush, which a rule for flushes fails', async () => {
  await using scene = await Scene.open({ 'inject-error': [{ event: 'flush_to_disk' }] });
  assert.equal(await scene.write(0, true), EIO);
  assert.equal(await scene.write(4096), EIO);
});

test('an event that does not exist here is refused by name', async () => {
  await assert.rejects(
    Scene.open({ 'inject-error': [{ event: 'l2_load' }] }),
    /Parameter 'event' does not accept value 'l2_load'/,
  );
});
