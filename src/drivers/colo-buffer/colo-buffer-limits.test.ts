/** Whom the buffer makes wait, and what it does at its limits and when an original cannot be kept (rules B5, B7 and B8). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO } from '../../base/errno.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import { WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockEvent } from '../../block/block-event.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { type RequestKind, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { type SimulatedDisk, simulatedDriver } from '../../sim/simulated-disk.ts';
import { coloBufferDriver } from './colo-buffer-driver.ts';

const CHUNK = 4096;
const CHUNKS = 64;

class Rig implements AsyncDisposable {
  readonly events: BlockEvent[] = [];
  readonly graph: BlockGraph;
  readonly disk: SimulatedDisk;
  readonly group: ConsistencyGroup;
  readonly replica: BlockBackend;
  readonly standby: BlockBackend;

  private constructor(graph: BlockGraph, disk: SimulatedDisk, group: ConsistencyGroup, events: BlockEvent[]) {
    this.events = events;
    this.graph = graph;
    this.disk = disk;
    this.group = group;
    this.replica = new BlockBackend("export 'replica'", disk, WRITE_EXCLUSIVE);
    this.standby = new BlockBackend("export 'view'", graph.node('buffer'), WRITE_EXCLUSIVE);
  }

  static async open(options: object): Promise<Rig> {
    const events: BlockEvent[] = [];
    const disks = new Map([['disk', Buffer.alloc(CHUNKS * CHUNK, 7)]]);
    const graph = new BlockGraph({
      drivers: [simulatedDriver(disks), coloBufferDriver],
      emit: event => events.push(event),
    });
    const disk = (await graph.add({ driver: 'simulated', 'node-name': 'disk' })) as SimulatedDisk;
    const buffer = await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk', ...options });
    const group = ConsistencyGroup.start([buffer], new SimulatedClock(), () => {});
    return new Rig(graph, disk, group, events);
  }

  /** Submits and steps the disk until the request completes; the errno it completed with. */
  do(root: BlockBackend, kind: RequestKind, offset: number, data: Buffer, diskErrno: number = 0): number {
    let errno: number | null = null;
    const request = takeRequest(kind, {
      requestDone: done => {
        errno = done.errno;
        releaseRequest(done);
      },
    });
    request.offset = offset;
    request.length = data.length;
    request.buffer = data;
    root.submit(request);
    while (errno === null) this.disk.step(0, diskErrno);
    return errno;
  }

  write(chunk: number, byte: number): number {
    return this.do(this.replica, 'write', chunk * CHUNK, Buffer.alloc(CHUNK, byte));
  }

  view(chunk: number): number | undefined {
    const bytes = Buffer.alloc(CHUNK);
    return this.do(this.standby, 'read', chunk * CHUNK, bytes) === 0 ? bytes[0] : undefined;
  }

  async checkpoint(n: number): Promise<void> {
    await this.group.prepare(n, 1000);
    this.group.do(n);
  }

  get image(): { available: boolean; reason?: string } {
    return (this.group.nodes[0]?.replicationStatus() ?? assert.fail()).images.checkpoint;
  }

  said(name: string): BlockEvent[] {
    return this.events.filter(event => event.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const root of [this.replica, this.standby]) {
      root.close();
      root.detach();
    }
    await this.graph[Symbol.asyncDispose]();
  }
}

test('at the hard limit the image is given up, the mirror goes on, and the next checkpoint makes an image again', async () => {
  await using rig = await Rig.open({ limit: 4 * CHUNK });
  for (let chunk = 0; chunk < 4; chunk++) assert.equal(rig.write(chunk, 9), 0);
  assert.equal(rig.view(0), 7);
  assert.equal(rig.image.available, true);

  assert.equal(rig.write(4, 9), 0);
  assert.equal(rig.disk.bytes[4 * CHUNK], 9);
  assert.equal(rig.image.available, false);
  assert.match(rig.image.reason ?? '', /limit of 16384 bytes/);
  assert.equal(rig.view(0), undefined);
  assert.equal(rig.said('COLO_BUFFER_INVALID').length, 1);

  await rig.checkpoint(1);
  assert.equal(rig.image.available, true);
  assert.equal(rig.view(0), 9);
  rig.write(0, 11);
  assert.equal(rig.view(0), 9);
});

test('the soft limit asks for a checkpoint once an epoch, the hard limit says what follows', async () => {
  await using rig = await Rig.open({ limit: 4 * CHUNK });
  for (let chunk = 0; chunk < 6; chunk++) rig.write(chunk, 9);
  const limits = rig.said('COLO_BUFFER_LIMIT').map(event => event.data);
  assert.deepEqual(limits, [
    { 'node-name': 'buffer', limit: 'soft', action: 'checkpoint' },
    { 'node-name': 'buffer', limit: 'hard', action: 'invalidate' },
  ]);
});

test('the originals of a prepared checkpoint count against the limit, and the older image goes first', async () => {
  await using rig = await Rig.open({ limit: 4 * CHUNK });
  for (let chunk = 0; chunk < 3; chunk++) rig.write(chunk, 9);
  await rig.group.prepare(1, 1000);
  rig.write(10, 9);
  rig.write(11, 9);
  assert.equal(rig.image.available, false);
  rig.group.do(1);
  assert.equal(rig.image.available, true);
  assert.equal(rig.view(10), 7);
  assert.equal(rig.view(0), 9);
});

test('an original that cannot be kept gives the image up, and the write is stored', async () => {
  await using rig = await Rig.open({});
  let errno = -1;
  const request = takeRequest('write', { requestDone: done => (errno = done.errno) });
  request.length = CHUNK;
  request.buffer = Buffer.alloc(CHUNK, 9);
  rig.replica.submit(request);
  rig.disk.step(0, EIO);
  rig.disk.settle();
  assert.equal(errno, 0);
  assert.equal(rig.disk.bytes[0], 9);
  assert.equal(rig.image.available, false);
  assert.match(rig.image.reason ?? '', /could not be kept/);
});

test('with on-error=fail-write a write fails whose original cannot be kept, and the image stays', async () => {
  await using rig = await Rig.open({ 'on-error': 'fail-write' });
  const errno = rig.do(rig.replica, 'write', 0, Buffer.alloc(CHUNK, 9), EIO);
  assert.equal(errno, EIO);
  assert.equal(rig.disk.bytes[0], 7);
  assert.equal(rig.image.available, true);
  assert.equal(rig.view(0), 7);
});

test('a write waits for the copies of its own chunks, not for those of others', async () => {
  await using rig = await Rig.open({});
  const completed: number[] = [];
  for (const chunk of [3, 9]) {
    const request = takeRequest('write', { requestDone: () => completed.push(chunk) });
    request.offset = chunk * CHUNK;
    request.length = CHUNK;
    request.buffer = Buffer.alloc(CHUNK, 9);
    rig.replica.submit(request);
  }
  const last = (): number => rig.disk.waiting.length - 1;
  while (completed.length === 0) rig.disk.step(last());
  assert.deepEqual(completed, [9]);
  assert.deepEqual(
    rig.disk.waiting.map(({ kind, offset }) => ({ kind, offset })),
    [{ kind: 'read', offset: 3 * CHUNK }],
  );
  rig.disk.settle();
  assert.deepEqual(completed, [9, 3]);
});

test('originals of zeroes take no memory', async () => {
  await using rig = await Rig.open({ limit: 4 * CHUNK });
  rig.disk.bytes.fill(0);
  for (let chunk = 0; chunk < CHUNKS; chunk++) assert.equal(rig.write(chunk, 9), 0);
  assert.equal(rig.image.available, true);
  assert.equal(rig.view(17), 0);
  const { buffer } = rig.group.nodes[0]?.replicationStatus() ?? assert.fail();
  assert.equal(buffer?.chunks, CHUNKS);
  assert.ok((buffer?.memoryBytes ?? 0) < CHUNK);
});

test('a drop gives its memory to the next epoch, however many epochs there are', async () => {
  await using rig = await Rig.open({ limit: 16 * CHUNK });
  for (let epoch = 1; epoch <= 50; epoch++) {
    for (let chunk = 0; chunk < 16; chunk++) assert.equal(rig.write(chunk, epoch), 0);
    assert.equal(rig.image.available, true);
    await rig.checkpoint(epoch);
  }
  assert.equal(rig.group.nodes[0]?.replicationStatus()?.buffer?.memoryBytes, 0);
});
