import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { type Clock, systemClock } from '../../base/clock.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import { WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { type BlockRequest, type RequestKind, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { idleInTime, whileDrained } from '../../block/drain.ts';
import { drivers } from '../index.ts';
import { ThrottleGroup } from './throttle-group.ts';
import type { ThrottleLimits } from './throttle-limits.ts';

const DISK_BYTES = 1024 ** 3;
const SECOND = 1000;

/** Throttle nodes over disks that answer at once, in groups of their own or in common. */
class Fixture implements AsyncDisposable {
  readonly groups = new Map<string, ThrottleGroup>();
  readonly graph: BlockGraph;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.graph = new BlockGraph({ drivers, clock, findObject: id => this.groups.get(id) });
  }

  addGroup(id: string, limits: ThrottleLimits): ThrottleGroup {
    const group = new ThrottleGroup(id, limits, this.#clock);
    this.groups.set(id, group);
    return group;
  }

  addNode(name: string, group: string): Promise<BlockNode> {
    const file = { driver: 'null', size: DISK_BYTES };
    return this.graph.add({ driver: 'throttle', 'node-name': name, 'throttle-group': group, file });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.graph[Symbol.asyncDispose]();
  }
}

/** A client that always has `depth` requests of one kind in flight, and counts those that were done. */
class Load {
  readonly backend: BlockBackend;
  done = 0;
  readonly #kind: RequestKind;
  readonly #length: number;
  #goesOn = true;

  constructor(node: BlockNode, kind: RequestKind, depth: number, length = 4096) {
    this.backend = new BlockBackend('load', node, { ...WRITE_EXCLUSIVE, shareWrite: true });
    this.#kind = kind;
    this.#length = length;
    for (let i = 0; i < depth; i++) this.#submit();
  }

  requestDone(request: BlockRequest): void {
    releaseRequest(request);
    this.done += 1;
    if (this.#goesOn) this.#submit();
  }

  /** Submits nothing more. */
  end(): void {
    this.#goesOn = false;
  }

  /** Ends the load: what waits goes at once and leaves the graph. Others on the same node have ended before. */
  async stop(): Promise<void> {
    this.end();
    this.backend.close();
    await idleInTime(this.backend, SECOND, systemClock, 'Requests did not return');
    this.backend.detach();
  }

  #submit(): void {
    const request = takeRequest(this.#kind, this);
    request.length = this.#length;
    request.buffer = BUFFER;
    this.backend.submit(request);
  }
}

const BUFFER = Buffer.alloc(1024 * 1024);

function assertNear(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= expected * 0.03, `${what}: ${actual} instead of ${expected}`);
}

/** Requests of `kind` that are done in `seconds` by clients of `depth`. */
async function doneIn(
  seconds: number,
  limits: ThrottleLimits,
  load: { kind: RequestKind; length?: number; depth?: number },
): Promise<number> {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', limits);
  const client = new Load(await fixture.addNode('t', 'g'), load.kind, load.depth ?? 16, load.length);
  clock.advance(seconds * SECOND);
  const { done } = client;
  await client.stop();
  return done;
}

test('limits are held, for operations and bytes, reads and writes', async () => {
  for (const [limits, load, perSecond] of [
    [{ 'iops-total': 100 }, { kind: 'read' }, 100],
    [{ 'iops-total': 7 }, { kind: 'write' }, 7],
    [{ 'iops-total': 1000 }, { kind: 'write', depth: 1 }, 1000],
    [{ 'iops-read': 100, 'iops-write': 50 }, { kind: 'read' }, 100],
    [{ 'iops-read': 100, 'iops-write': 50 }, { kind: 'write' }, 50],
    [{ 'iops-write': 50 }, { kind: 'write-zeroes' }, 50],
    [{ 'iops-write': 50 }, { kind: 'discard' }, 50],
    [{ 'bps-total': 4_096_000 }, { kind: 'write', length: 4096 }, 1000],
    [{ 'bps-read': 1_048_576 }, { kind: 'read', length: 65_536 }, 16],
    [{ 'bps-write': 1_048_576, 'iops-total': 10 }, { kind: 'write', length: 65_536 }, 10],
    [{ 'iops-total': 100, 'iops-size': 8192 }, { kind: 'write', length: 32_768 }, 25],
    [{ 'iops-total': 100, 'iops-size': 8192 }, { kind: 'write', length: 4096 }, 100],
  ] as const) {
    assertNear(await doneIn(20, limits, load), 20 * perSecond, JSON.stringify({ limits, load }));
  }
});

test('limits for totals are common to reads and writes', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 100 });
  const node = await fixture.addNode('t', 'g');
  const loads = [new Load(node, 'read', 8), new Load(node, 'write', 8)];
  clock.advance(60 * SECOND);
  assertNear(
    loads.reduce((sum, load) => sum + load.done, 0),
    6000,
    'reads and writes',
  );
  for (const load of loads) assert.ok(load.done > 1000, `${load.done} of 6000 by one direction`);
  for (const load of loads) load.end();
  for (const load of loads) await load.stop();
});

test('a burst lasts as long as it may at its full rate, and the average is held over time', async () => {
  const limits = { 'iops-total': 100, 'iops-total-max': 1000, 'iops-total-max-length': 10 };
  assertNear(await doneIn(5, limits, { kind: 'read' }), 5100, 'at the rate of the burst');
  assertNear(await doneIn(60, limits, { kind: 'read' }), 10_000 + 60 * 100, 'what the bucket holds, and the average');
  const short = { 'iops-total': 100, 'iops-total-max': 1000 };
  assertNear(await doneIn(60, short, { kind: 'read' }), 1000 + 60 * 100, 'a burst of a second');
});

test('a group without limits, and one whose limits are taken away, passes everything on', async () => {
  await using fixture = new Fixture(new ManualClock());
  const group = fixture.addGroup('g', { 'iops-total': 1 });
  using client = new DiskClient(await fixture.addNode('t', 'g'));
  const writes = Array.from({ length: 5 }, () => client.write(0, Buffer.alloc(512)));
  assert.equal(client.backend.inFlight, 4);
  group.changeLimits({ 'iops-total': 0 });
  await Promise.all(writes);
  await client.read(0, 512);
});

test('flushes and block-status are not limited', async () => {
  await using fixture = new Fixture(new ManualClock());
  fixture.addGroup('g', { 'iops-total': 1 });
  using client = new DiskClient(await fixture.addNode('t', 'g'));
  await client.write(0, Buffer.alloc(512));
  for (let i = 0; i < 10; i++) await client.flush();
  await client.blockStatus(0, 512);
});

test('members of a group share its limits in turn, however much each has in flight', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 300 });
  const nodes = [await fixture.addNode('a', 'g'), await fixture.addNode('b', 'g'), await fixture.addNode('c', 'g')];
  const loads = nodes.map((node, i) => new Load(node, 'write', [1, 4, 64][i] ?? 1));
  clock.advance(20 * SECOND);
  for (const load of loads) assertNear(load.done, 20 * 100, `node '${load.backend.node.name}'`);
  for (const load of loads) load.end();
  for (const load of loads) await load.stop();
});

test('requests of a node keep their order', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 10 });
  using client = new DiskClient(await fixture.addNode('t', 'g'));
  const order: number[] = [];
  const writes = Array.from({ length: 300 }, async (_, i) => {
    await client.write(i * 512, Buffer.alloc(512));
    order.push(i);
  });
  clock.advance(40 * SECOND);
  await Promise.all(writes);
  assert.deepEqual(
    order,
    Array.from({ length: 300 }, (_, i) => i),
  );
});

test('a request that comes the moment the limits allow one goes after those that wait', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 10 });
  using client = new DiskClient(await fixture.addNode('t', 'g'));
  const order: string[] = [];
  const write = async (name: string): Promise<void> => {
    await client.write(0, Buffer.alloc(512));
    order.push(name);
  };
  await Promise.all([write('first'), write('second')]);
  const late = new Promise<void>(resolve => clock.after(100, () => resolve(write('late'))));
  const waiting = write('waiting');
  clock.advance(10 * SECOND);
  await Promise.all([late, waiting]);
  assert.deepEqual(order, ['first', 'second', 'waiting', 'late']);
});

test('a drain does not wait for the limits, and what went early counts', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 1 });
  fixture.addGroup('h', {});
  const node = await fixture.addNode('t', 'g');
  using client = new DiskClient(node);
  const writes = Array.from({ length: 10 }, () => client.write(0, Buffer.alloc(512)));
  const definition = { driver: 'throttle', 'node-name': 't', file: { driver: 'null', size: DISK_BYTES } };
  const reopened = fixture.graph.reopen([{ ...definition, 'throttle-group': 'h' }]);
  await Promise.all(writes);
  await reopened;
  await Promise.all(Array.from({ length: 10 }, () => client.write(0, Buffer.alloc(512))));
  assert.equal(fixture.groups.get('g')?.isInUse, false);
  await fixture.graph.reopen([{ ...definition, 'throttle-group': 'g' }]);
  const late = client.write(0, Buffer.alloc(512));
  clock.advance(9 * SECOND);
  assert.equal(client.backend.inFlight, 1, 'the ten that went early take ten seconds to leak away');
  clock.advance(SECOND);
  await late;
});

test('what comes to a node during a drain goes at once, in its turn, and the limits hold again after it', async () => {
  const clock = new ManualClock();
  await using fixture = new Fixture(clock);
  fixture.addGroup('g', { 'iops-total': 1 });
  const node = await fixture.addNode('t', 'g');
  using client = new DiskClient(node);
  const { backend } = client;
  const done: string[] = [];
  const write = (name: string, then: () => void = () => {}): void => {
    const owner = {
      requestDone: (request: BlockRequest): void => {
        releaseRequest(request);
        done.push(name);
        then();
      },
    };
    const request = takeRequest('write', owner);
    request.buffer = BUFFER;
    request.length = 512;
    backend.submitInWork(request);
  };
  backend.beginWork();
  write('at once');
  write('waiting', () => write('of waiting'));
  write('waiting, too');
  assert.deepEqual(done, ['at once']);
  const drained = whileDrained(node, clock, () => done.push('drained'));
  write('during the drain');
  assert.deepEqual(done.splice(0), ['at once', 'waiting', 'waiting, too', 'of waiting', 'during the drain']);
  backend.endWork();
  await drained;
  backend.beginWork();
  write('after the drain');
  assert.deepEqual(done, ['drained']);
  clock.advance(10 * SECOND);
  assert.deepEqual(done, ['drained', 'after the drain']);
  backend.endWork();
});

test('a group that is not there is refused by name, on opening and reopening', async () => {
  await using fixture = new Fixture(new ManualClock());
  fixture.groups.set('g', new ThrottleGroup('g', {}, new ManualClock()));
  const message = "Throttle group 'zz' does not exist";
  await assert.rejects(fixture.addNode('t', 'zz'), { message });
  await fixture.addNode('t', 'g');
  const file = { driver: 'null', size: DISK_BYTES };
  const definition = { driver: 'throttle', 'node-name': 't', file, 'throttle-group': 'zz' };
  await assert.rejects(fixture.graph.reopen([definition]), { message });
  assert.equal(fixture.groups.get('g')?.isInUse, true);
  await fixture.graph.remove('t');
  assert.equal(fixture.groups.get('g')?.isInUse, false);
});

test('limits are held in real time', async () => {
  const clock: Clock = {
    ...systemClock,
    after(delayMs, callback) {
      const timeout = setTimeout(callback, delayMs);
      return { cancel: () => clearTimeout(timeout) };
    },
  };
  await using fixture = new Fixture(clock);
  // With a burst of a second the bucket also holds what a busy machine keeps the timer from doing in time.
  fixture.addGroup('g', { 'iops-total': 500, 'iops-total-max': 500 });
  const node = await fixture.addNode('t', 'g');
  const startMs = performance.now();
  const load = new Load(node, 'write', 32);
  await new Promise(resolve => clock.after(1500, () => resolve(null)));
  const seconds = (performance.now() - startMs) / SECOND;
  const { done } = load;
  await load.stop();
  assertNear(done, 500 * (1 + seconds), 'a burst of a second, and the average');
});
