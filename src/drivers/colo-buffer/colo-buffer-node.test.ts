/**
 * The COLO buffer under concurrency, against a model that is obviously right.
 *
 * The model keeps two byte arrays: the disk, to which completed writes of the primary are applied, and the view, which
 * a checkpoint replaces by the disk and to which completed writes of the standby are applied. The real buffer stands
 * over a simulated disk whose requests move half at a time in an order that fast-check chooses.
 */

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { BlockBackend } from '../../block/block-backend.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { type BlockRequest, type RequestKind, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { type SimulatedDisk, simulatedDriver } from '../../sim/simulated-disk.ts';
import { coloBufferDriver } from './colo-buffer-driver.ts';
import type { ColoBufferNode } from './colo-buffer-node.ts';

const GRANULARITY = 512;
/** Nine chunks and a tail that fills a tenth in part. */
const DISK_BYTES = 9 * GRANULARITY + 100;

type Range = { readonly offset: number; readonly length: number };

const range: fc.Arbitrary<Range> = fc
  .tuple(fc.integer({ min: 0, max: DISK_BYTES - 1 }), fc.integer({ min: 1, max: 3 * GRANULARITY }))
  .map(([offset, length]) => ({ offset, length: Math.min(length, DISK_BYTES - offset) }));
const changing: fc.Arbitrary<RequestKind> = fc.constantFrom('write', 'write', 'write', 'write-zeroes', 'discard');

type Action =
  | { readonly do: 'primary' | 'standby'; readonly kind: RequestKind; readonly range: Range }
  | { readonly do: 'read'; readonly range: Range }
  | { readonly do: 'step'; readonly index: number }
  | { readonly do: 'prepare' | 'checkpoint' | 'abort' };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('primary' as const), kind: changing, range }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('standby' as const), kind: changing, range }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), range }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('step' as const), index: fc.nat(50) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('prepare' as const, 'checkpoint' as const, 'abort' as const) }),
  },
);

/** A write of the standby on its way, as the model sees it. */
type OwnWrite = { readonly range: Range; readonly byte: number; isVoid: boolean };

class Bench {
  readonly graph: BlockGraph;
  readonly disk: SimulatedDisk;
  readonly node: ColoBufferNode;
  readonly group: ConsistencyGroup;
  readonly #replica: BlockBackend;
  readonly #standby: BlockBackend;
  readonly #modelDisk: Buffer;
  #modelView: Buffer;
  #preparedView: Buffer | null = null;
  #nextByte = 1;
  #nextCheckpoint = 1;
  #preparing = false;
  #primaryBusy: Range[] = [];
  readonly #ownWrites = new Set<OwnWrite>();
  /** The writes of the standby that each read in flight may see. */
  readonly #reads = new Set<Set<OwnWrite>>();
  #inFlight = 0;

  private constructor(graph: BlockGraph, disk: SimulatedDisk, node: ColoBufferNode, group: ConsistencyGroup) {
    this.graph = graph;
    this.disk = disk;
    this.node = node;
    this.group = group;
    this.#replica = new BlockBackend("export 'replica'", disk, WRITE_EXCLUSIVE);
    this.#standby = new BlockBackend("export 'view'", node, WRITE_EXCLUSIVE);
    this.#modelDisk = Buffer.from(disk.bytes);
    this.#modelView = Buffer.from(disk.bytes);
  }

  static async open(options: object = {}): Promise<Bench> {
    const bytes = Buffer.from(Array.from({ length: DISK_BYTES }, (_, i) => (i % GRANULARITY < 200 ? 0 : 255)));
    const graph = new BlockGraph({ drivers: [simulatedDriver(new Map([['disk', bytes]])), coloBufferDriver] });
    const disk = await graph.add({ driver: 'simulated', 'node-name': 'disk' });
    const node = await graph.add({
      driver: 'colo-buffer',
      'node-name': 'buffer',
      backing: 'disk',
      granularity: GRANULARITY,
      ...options,
    });
    const group = ConsistencyGroup.start([node], new SimulatedClock(), () => {});
    return new Bench(graph, disk as SimulatedDisk, node as ColoBufferNode, group);
  }

  async run(actions: readonly Action[]): Promise<void> {
    for (const each of actions) {
      await this.#perform(each);
      await tick();
    }
    await this.settle();
  }

  /** Lets everything in flight end. */
  async settle(): Promise<void> {
    while (this.#inFlight > 0 || this.#preparing) {
      this.disk.settle();
      await tick();
    }
  }

  async verifyView(): Promise<void> {
    const view = await this.#readAll(this.#standby);
    assert.deepEqual(view, this.#modelView);
    assert.deepEqual(this.disk.bytes, this.#modelDisk);
  }

  /** Takes over while the standby goes on with `meanwhile`. */
  async takeOver(image: TakeOverImage, meanwhile: readonly Action[]): Promise<void> {
    if (image === 'latest') this.#modelView = Buffer.from(this.#modelDisk);
    this.#replica.close();
    this.#replica.detach();
    this.group.stop(image);
    if (image === 'checkpoint') {
      const root = new BlockBackend('commit', this.node, READ_SHARED);
      const commit = this.node.commit({ root, pausePoint: async () => {}, progress: () => {} });
      let ended = false;
      const settled = commit.finally(() => {
        ended = true;
      });
      await this.run(meanwhile);
      while (!ended) {
        this.disk.settle();
        await tick();
      }
      await settled;
      root.close();
      root.detach();
    }
    assert.deepEqual(this.disk.bytes, this.#modelView);
    assert.deepEqual(await this.#readAll(this.#standby), this.#modelView);
  }

  async close(): Promise<void> {
    this.#standby.close();
    this.#standby.detach();
    await this.graph[Symbol.asyncDispose]();
  }

  async #perform(each: Action): Promise<void> {
    switch (each.do) {
      case 'primary':
        this.#writePrimary(each.kind, each.range);
        return;
      case 'standby':
        this.#writeStandby(each.kind, each.range);
        return;
      case 'read':
        this.#readStandby(each.range);
        return;
      case 'step':
        this.disk.step(each.index);
        return;
      case 'prepare':
        this.#prepare();
        return;
      case 'checkpoint':
        if (this.#preparedView === null) return;
        this.group.do(this.#nextCheckpoint);
        this.#nextCheckpoint += 1;
        this.#modelView = this.#preparedView;
        this.#preparedView = null;
        for (const write of this.#ownWrites) write.isVoid = true;
        return;
      case 'abort':
        if (this.#preparedView === null) return;
        this.group.abort(this.#nextCheckpoint);
        this.#preparedView = null;
    }
  }

  #prepare(): void {
    if (this.#preparing || this.#preparedView !== null) return;
    this.#preparing = true;
    void this.group.prepare(this.#nextCheckpoint, 1000).then(() => {
      this.#preparing = false;
      this.#preparedView = Buffer.from(this.#modelDisk);
    });
  }

  /** The primary sends no write that overlaps one of its own in flight. */
  #writePrimary(kind: RequestKind, at: Range): void {
    if (this.#primaryBusy.some(other => overlaps(other, at))) return;
    this.#primaryBusy.push(at);
    const byte = this.#submitChange(this.#replica, kind, at, errno => {
      assert.equal(errno, 0);
      this.#primaryBusy = this.#primaryBusy.filter(other => other !== at);
      this.#modelDisk.fill(byte, at.offset, at.offset + at.length);
    });
  }

  /** While replication runs, overlapping writes of the standby follow one another; later their order is the disk's. */
  #writeStandby(kind: RequestKind, at: Range): void {
    const isOrdered = this.node.replicationStatus().state === 'running';
    if (!isOrdered && [...this.#ownWrites].some(other => overlaps(other.range, at))) return;
    const write: OwnWrite = { range: at, byte: kind === 'write' ? this.#nextByte : 0, isVoid: false };
    this.#ownWrites.add(write);
    for (const concurrent of this.#reads) concurrent.add(write);
    this.#submitChange(this.#standby, kind, at, errno => {
      assert.equal(errno, 0);
      this.#ownWrites.delete(write);
      if (!write.isVoid) this.#modelView.fill(write.byte, at.offset, at.offset + at.length);
    });
  }

  /** What a read may answer: the view when it began, or what a write of the standby put there while it ran. */
  #readStandby(at: Range): void {
    const began = Buffer.from(this.#modelView);
    const concurrent = new Set([...this.#ownWrites].filter(write => !write.isVoid));
    const request = this.#request('read', at, done => {
      assert.equal(done.errno, 0);
      this.#reads.delete(concurrent);
      for (let i = 0; i < at.length; i++) {
        const offset = at.offset + i;
        const got = done.buffer[done.at + i];
        const allowed = new Set([began[offset]]);
        for (const own of concurrent) {
          if (offset >= own.range.offset && offset < own.range.offset + own.range.length) allowed.add(own.byte);
        }
        assert.ok(allowed.has(got), `byte ${offset} reads ${got}, expected one of ${[...allowed].join(', ')}`);
      }
    });
    this.#reads.add(concurrent);
    request.buffer = Buffer.alloc(at.length);
    this.#standby.submit(request);
  }

  #submitChange(root: BlockBackend, kind: RequestKind, at: Range, done: (errno: number) => void): number {
    const byte = kind === 'write' ? this.#nextByte : 0;
    this.#nextByte = (this.#nextByte % 250) + 1;
    const request = this.#request(kind, at, finished => done(finished.errno));
    request.buffer = Buffer.alloc(at.length, byte);
    root.submit(request);
    return byte;
  }

  #request(kind: RequestKind, at: Range, done: (request: BlockRequest) => void): BlockRequest {
    this.#inFlight += 1;
    const request = takeRequest(kind, {
      requestDone: finished => {
        this.#inFlight -= 1;
        done(finished);
        releaseRequest(finished);
      },
    });
    request.offset = at.offset;
    request.length = at.length;
    return request;
  }

  async #readAll(root: BlockBackend): Promise<Buffer> {
    const all = { offset: 0, length: DISK_BYTES };
    const bytes = Buffer.alloc(DISK_BYTES);
    const request = this.#request('read', all, done => assert.equal(done.errno, 0));
    request.buffer = bytes;
    root.submit(request);
    await this.settle();
    return bytes;
  }
}

function overlaps(a: Range, b: Range): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

function tick(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

async function runAll(
  actions: readonly Action[],
  image: TakeOverImage,
  meanwhile: readonly Action[],
  options: object = {},
): Promise<void> {
  const bench = await Bench.open(options);
  try {
    await bench.run(actions);
    await bench.verifyView();
    await bench.takeOver(image, meanwhile);
  } finally {
    await bench.settle();
    await bench.close();
  }
}

const image: fc.Arbitrary<TakeOverImage> = fc.constantFrom('latest', 'checkpoint');
const actions: fc.Arbitrary<Action[]> = fc.array(action, { maxLength: 120, size: 'max' });
/** What a standby does while its buffer is committed: only it writes then. */
const standbyActions: fc.Arbitrary<Action[]> = actions.map(list =>
  list.filter(each => each.do === 'standby' || each.do === 'read' || each.do === 'step'),
);

test('the view equals the last checkpoint and the standby’s own writes, under any interleaving', async () => {
  await fc.assert(
    fc.asyncProperty(actions, image, standbyActions, (list, which, meanwhile) => runAll(list, which, meanwhile)),
    { numRuns: 400 },
  );
});

test('a buffer that spills shows the same view as one in memory', async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'colobus-spill-'));
  try {
    const options = { limit: 2 * GRANULARITY, spill: path.join(folder, 'spill') };
    await fc.assert(
      fc.asyncProperty(actions, image, standbyActions, (list, which, meanwhile) =>
        runAll(list, which, meanwhile, options),
      ),
      { numRuns: 100 },
    );
  } finally {
    await fs.rm(folder, { recursive: true });
  }
});
