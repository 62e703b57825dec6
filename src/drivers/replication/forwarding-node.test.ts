/** mode=primary over a simulated link: what it forwards, what it refuses, and that it never keeps an error to itself. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { BufferPool } from '../../base/buffer-pool.ts';
import { ECONNRESET, EIO, ETIMEDOUT } from '../../base/errno.ts';
import type { BlockEvent } from '../../block/block-event.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { DEFAULT_LIMITS } from '../../block/block-node.ts';
import { takeRequest } from '../../block/block-request.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { ReplicationStatus } from '../../block/replication-status.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { type SimulatedDisk, simulatedDriver } from '../../sim/simulated-disk.ts';
import { replicationDriver } from './replication-driver.ts';

const CHUNK = 4096;
const GRANULE = 65_536;
const MIB = 1024 * 1024;
const DATA = Buffer.alloc(CHUNK, 7);

/** Forwarding nodes f0, f1, … over simulated links, with a client above each. */
class Rig {
  readonly clock = new SimulatedClock();
  readonly events: BlockEvent[] = [];
  readonly links: SimulatedDisk[] = [];
  readonly clients: DiskClient[] = [];
  #group: ConsistencyGroup | null = null;

  static async open(
    options: { count?: number; start?: boolean; diskBytes?: number; maxTransferBytes?: number } = {},
  ): Promise<Rig> {
    const rig = new Rig();
    const names = Array.from({ length: options.count ?? 1 }, (_, i) => `link${i}`);
    const images = new Map(names.map(name => [name, Buffer.alloc(options.diskBytes ?? MIB)]));
    const emit = (event: BlockEvent): number => rig.events.push(event);
    const limits = {
      ...DEFAULT_LIMITS,
      ...(options.maxTransferBytes && { maxTransferBytes: options.maxTransferBytes }),
    };
    const drivers = [simulatedDriver(images, limits), replicationDriver];
    const graph = new BlockGraph({ drivers, clock: rig.clock, emit });
    for (const [i, file] of names.entries()) {
      rig.links.push((await graph.add({ driver: 'simulated', 'node-name': file })) as SimulatedDisk);
      const node = await graph.add({ driver: 'replication', 'node-name': `f${i}`, mode: 'primary', file });
      rig.clients.push(new DiskClient(node));
    }
    if (options.start ?? true) {
      rig.#group = ConsistencyGroup.start(
        rig.clients.map(client => client.backend.node),
        rig.clock,
        emit,
      );
    }
    return rig;
  }

  get group(): ConsistencyGroup {
    return this.#group ?? assert.fail('not started');
  }

  get link(): SimulatedDisk {
    return this.links[0] ?? assert.fail();
  }

  get client(): DiskClient {
    return this.clients[0] ?? assert.fail();
  }

  status(index = 0): ReplicationStatus {
    return this.clients[index]?.backend.node.replicationStatus() ?? assert.fail();
  }

  said(name: BlockEvent['name']): object[] {
    return this.events.filter(event => event.name === name).map(event => event.data);
  }
}

test('reads and writes fail before replication starts, and touch nothing', async () => {
  const rig = await Rig.open({ start: false });
  assert.equal(await rig.client.submit('read', 0, CHUNK, { buffer: Buffer.alloc(CHUNK) }), EIO);
  for (const kind of ['write', 'write-zeroes', 'discard'] as const) {
    assert.equal(await rig.client.submit(kind, 0, CHUNK, { buffer: DATA }), EIO);
  }
  assert.equal(rig.link.waiting.length, 0);
  assert.deepEqual([rig.status().state, rig.status().dirtyBytes], ['none', 0]);
});

test('a running node forwards writes, zeroes, discards and flushes, and reads nothing', async () => {
  const rig = await Rig.open();
  const write = rig.client.submit('write', CHUNK, CHUNK, { buffer: DATA, fua: true });
  assert.equal(rig.link.waiting[0]?.fua, true);
  rig.link.settle();
  assert.equal(await write, 0);
  assert.deepEqual(rig.link.bytes.subarray(CHUNK, 2 * CHUNK), DATA);
  for (const kind of ['write-zeroes', 'discard'] as const) {
    rig.link.bytes.fill(9, 0, CHUNK);
    const zeroes = rig.client.submit(kind, 0, CHUNK);
    assert.equal(rig.link.waiting[0]?.kind, 'write-zeroes', 'so that all copies read alike');
    rig.link.settle();
    assert.equal(await zeroes, 0);
    assert.deepEqual(rig.link.bytes.subarray(0, CHUNK), Buffer.alloc(CHUNK));
  }
  const flush = rig.client.submit('flush', 0, 0);
  rig.link.settle();
  assert.equal(await flush, 0);
  assert.equal(await rig.client.submit('read', 0, CHUNK, { buffer: Buffer.alloc(CHUNK) }), EIO);
  assert.equal(rig.link.waiting.length, 0);
  assert.deepEqual([rig.status().writes, rig.status().dirtyBytes], [3, 0]);
});

test('zeroes travel in pieces, and the request ends with the last of them', async () => {
  const rig = await Rig.open({ diskBytes: 151 * MIB });
  rig.link.bytes.fill(9);
  const outcome = { errno: -1 };
  const zeroes = rig.client.submit('write-zeroes', CHUNK, 150 * MIB).then(errno => {
    outcome.errno = errno;
  });
  const lengths: number[] = [];
  while (rig.link.waiting.length > 0) {
    lengths.push(rig.link.waiting[0]?.length ?? 0);
    assert.equal(outcome.errno, -1);
    rig.link.step(0);
    rig.link.step(0);
  }
  await zeroes;
  assert.equal(outcome.errno, 0);
  assert.deepEqual(
    lengths,
    [64, 64, 22].map(mib => mib * MIB),
  );
  assert.equal(rig.link.bytes.indexOf(9, CHUNK), CHUNK + 150 * MIB);
});

test('a write that the link cannot take at once travels in pieces, and fails with the piece that fails', async () => {
  for (const failing of [null, 1]) {
    const rig = await Rig.open({ maxTransferBytes: CHUNK });
    const data = Buffer.alloc(2 * CHUNK + 512);
    for (let i = 0; i < data.length; i += 1) data[i] = i % 251;
    const write = rig.client.submit('write', 512, data.length, { buffer: data });
    for (let piece = 0; rig.link.waiting.length > 0; piece += 1) {
      rig.link.step(0);
      rig.link.step(0, piece === failing ? EIO : 0);
    }
    assert.equal(await write, failing === null ? 0 : EIO);
    assert.equal(rig.status().writes, failing === null ? 3 : 2);
    if (failing === null) assert.deepEqual(rig.link.bytes.subarray(512, 512 + data.length), data);
  }
});

test('a change whose piece fails or is late is dirty to its end: what comes behind the piece is not sent', async () => {
  for (const fails of ['at once', 'late']) {
    const rig = await Rig.open({ maxTransferBytes: GRANULE });
    const write = rig.client.submit('write', 0, 3 * GRANULE, { buffer: Buffer.alloc(3 * GRANULE, 7) });
    rig.link.step(0);
    if (fails === 'late') rig.clock.advance(5100);
    else rig.link.step(0, EIO);
    assert.equal(await write, EIO);
    assert.deepEqual([rig.status().writes, rig.status().dirtyBytes], [1, 3 * GRANULE]);
  }
});

test('the first failed forward is reported, ends forwarding of all disks, and every later write fails', async () => {
  const rig = await Rig.open({ count: 2 });
  const write = rig.client.submit('write', 0, CHUNK, { buffer: DATA });
  rig.link.step(0, EIO);
  assert.equal(await write, EIO);
  assert.deepEqual([rig.status(0).state, rig.status(1).state], ['degraded', 'degraded']);
  assert.deepEqual(rig.said('REPLICATION_ERROR'), [
    { 'node-name': 'f0', child: 'link0', operation: 'write', offset: 0, length: CHUNK, errno: EIO },
  ]);
  assert.equal(await rig.clients[1]?.submit('write', GRANULE, CHUNK, { buffer: DATA }), EIO);
  assert.equal(rig.links[1]?.waiting.length, 0);
  assert.deepEqual([rig.status(0).dirtyBytes, rig.status(1).dirtyBytes], [GRANULE, GRANULE]);
  await assert.rejects(
    rig.group.prepare(1, 1000),
    /Checkpoint 1 of node 'f0' is refused: its state is degraded \(write/,
  );
});

test('a failed flush of the copy, and the loss of its link, end forwarding too', async () => {
  const flushed = await Rig.open();
  const flush = flushed.client.submit('flush', 0, 0);
  flushed.link.step(0, EIO);
  assert.equal(await flush, EIO);
  assert.equal(flushed.status().state, 'degraded');

  const lost = await Rig.open();
  const write = lost.client.submit('write', 0, CHUNK, { buffer: DATA });
  lost.link.lose('the peer is dead', ECONNRESET);
  assert.equal(await write, ECONNRESET);
  assert.deepEqual([lost.status().state, lost.status().children[0]?.error], ['degraded', 'the peer is dead']);
});

test('what the copy stored and no flush has covered is dirty once it is lost', async () => {
  const rig = await Rig.open();
  const store = async (offset: number): Promise<void> => {
    const write = rig.client.submit('write', offset, CHUNK, { buffer: DATA });
    rig.link.settle();
    assert.equal(await write, 0);
  };
  await store(0);
  const flush = rig.client.submit('flush', 0, 0);
  rig.link.settle();
  assert.equal(await flush, 0);
  await store(GRANULE);
  await store(2 * GRANULE);
  rig.link.lose('the peer is dead', ECONNRESET);
  assert.equal(rig.status().dirtyBytes, 2 * GRANULE);
});

test('the copy is flushed within a second of a write, without being asked', async () => {
  const rig = await Rig.open();
  const write = rig.client.submit('write', 0, CHUNK, { buffer: DATA });
  rig.link.settle();
  assert.equal(await write, 0);
  rig.clock.advance(1100);
  assert.deepEqual(
    rig.link.waiting.map(request => request.kind),
    ['flush'],
  );
  rig.link.settle();
  rig.link.lose('the peer is dead', ECONNRESET);
  assert.equal(rig.status().dirtyBytes, 0);
});

test('a late forward fails by its deadline, and its payload is kept until it returns', async () => {
  const rig = await Rig.open();
  const slab = new BufferPool(CHUNK, 1).take();
  const outcome = { errno: -1 };
  const request = takeRequest('write', {
    requestDone: done => {
      outcome.errno = done.errno;
      slab.release();
    },
  });
  request.length = CHUNK;
  request.buffer = slab.bytes.fill(3);
  request.slab = slab;
  rig.client.backend.submit(request);
  rig.clock.advance(4900);
  assert.equal(outcome.errno, -1);
  rig.clock.advance(200);
  assert.equal(outcome.errno, EIO);
  assert.equal(rig.status().state, 'degraded');
  const [told] = rig.said('REPLICATION_ERROR');
  assert.equal((told as { errno: number }).errno, ETIMEDOUT);
  assert.equal(rig.link.waiting[0]?.buffer, slab.bytes);
  rig.link.settle();
  assert.equal(rig.link.bytes[0], 3);
});

test('a prepared node holds writes, and waits for those on their way', async () => {
  const rig = await Rig.open();
  const before = rig.client.submit('write', 0, CHUNK, { buffer: DATA });
  const prepared = rig.group.prepare(1, 1000);
  await nextTurn();
  const held = rig.client.submit('write', GRANULE, CHUNK, { buffer: DATA });
  assert.equal(rig.link.waiting.length, 1);
  rig.link.settle();
  assert.equal(await before, 0);
  await prepared;
  assert.deepEqual([rig.link.waiting.length, rig.status().writes], [0, 1]);
  rig.group.resume(1);
  rig.link.settle();
  assert.equal(await held, 0);
  assert.equal(rig.status().writes, 2);
});

test('a prepare whose writes do not return in time is refused, and holds nothing', async () => {
  const rig = await Rig.open();
  const write = rig.client.submit('write', 0, CHUNK, { buffer: DATA });
  const prepared = rig.group.prepare(1, 1000);
  const refused = assert.rejects(prepared, /did not return within 1000 ms; checkpoint 1 is void/);
  await nextTurn();
  const held = rig.client.submit('write', GRANULE, CHUNK, { buffer: DATA });
  rig.clock.advance(1000);
  await refused;
  assert.equal(rig.link.waiting.length, 2);
  rig.link.settle();
  assert.deepEqual(await Promise.all([write, held]), [0, 0]);
});

test('a stop ends forwarding; a stopped node starts no more', async () => {
  const rig = await Rig.open();
  rig.group.stop(null);
  assert.equal(rig.status().state, 'done');
  assert.equal(await rig.client.submit('write', 0, CHUNK, { buffer: DATA }), EIO);
  assert.equal(rig.status().dirtyBytes, GRANULE);
  const nodes = [rig.client.backend.node];
  assert.throws(() => ConsistencyGroup.start(nodes, rig.clock, () => {}), /has been replicating; add a new node/);
});
