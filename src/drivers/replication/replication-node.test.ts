/** The primary's disk over simulated copies: what is acknowledged, when, and what happens when a copy fails. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool, type Slab } from '../../base/buffer-pool.ts';
import { ECONNRESET, EIO } from '../../base/errno.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import { WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockEvent } from '../../block/block-event.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { type RequestKind, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import type { ReplicationStatus } from '../../block/replication-status.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { type SimulatedDisk, simulatedDriver } from '../../sim/simulated-disk.ts';
import { replicationDriver } from './replication-driver.ts';

const CHUNK = 4096;
const GRANULE = 65536;

/** A request on its way; `errno` is null until it has completed. */
type Outcome = { errno: number | null };

/** One disk of a primary: its node, both copies and a guest. */
type Disk = { readonly local: SimulatedDisk; readonly remote: SimulatedDisk; readonly guest: BlockBackend };

class Rig {
  readonly clock = new SimulatedClock();
  readonly events: BlockEvent[] = [];
  readonly disks: Disk[] = [];
  readonly #graph: BlockGraph;
  #group: ConsistencyGroup | null = null;

  private constructor(count: number, diskBytes: number) {
    const images = new Map<string, Buffer>();
    for (let i = 0; i < count; i++) {
      images.set(`local${i}`, Buffer.alloc(diskBytes));
      images.set(`remote${i}`, Buffer.alloc(diskBytes));
    }
    this.#graph = new BlockGraph({
      drivers: [simulatedDriver(images), replicationDriver],
      clock: this.clock,
      emit: event => this.events.push(event),
    });
  }

  static async open(options: { count?: number; start?: boolean; diskBytes?: number; onRemoteError?: string } = {}) {
    const rig = new Rig(options.count ?? 1, options.diskBytes ?? 64 * GRANULE);
    for (let i = 0; i < (options.count ?? 1); i++) await rig.#addDisk(i, options.onRemoteError ?? 'degrade');
    if (options.start ?? true) rig.start();
    return rig;
  }

  start(): void {
    const nodes = this.disks.map(disk => disk.guest.node);
    this.#group = ConsistencyGroup.start(nodes, this.clock, event => this.events.push(event));
  }

  get group(): ConsistencyGroup {
    return this.#group ?? assert.fail('not started');
  }

  get disk(): Disk {
    return this.disks[0] ?? assert.fail();
  }

  status(disk: Disk = this.disk): ReplicationStatus {
    return disk.guest.node.replicationStatus() ?? assert.fail();
  }

  submit(kind: RequestKind, offset: number, length: number, byte: number = 1, disk: Disk = this.disk): Outcome {
    return this.submitSlab(kind, offset, length, byte, null, disk);
  }

  submitSlab(
    kind: RequestKind,
    offset: number,
    length: number,
    byte: number,
    slab: Slab | null,
    disk: Disk = this.disk,
  ): Outcome {
    const outcome: Outcome = { errno: null };
    const request = takeRequest(kind, {
      requestDone: done => {
        outcome.errno = done.errno;
        releaseRequest(done);
      },
    });
    request.offset = offset;
    request.length = length;
    if (kind === 'write' || kind === 'read') request.buffer = slab?.bytes ?? Buffer.alloc(length);
    if (kind === 'write') request.buffer.fill(byte);
    request.slab = slab;
    disk.guest.submit(request);
    return outcome;
  }

  /** A write that both copies have stored. */
  stored(offset: number, length: number = CHUNK, byte: number = 1): Outcome {
    const outcome = this.submit('write', offset, length, byte);
    this.disk.local.settle();
    this.disk.remote.settle();
    assert.equal(outcome.errno, 0);
    return outcome;
  }

  said<Name extends BlockEvent['name']>(name: Name): Extract<BlockEvent, { name: Name }>['data'][] {
    return this.events.filter(event => event.name === name).map(event => event.data) as never;
  }

  async #addDisk(i: number, onRemoteError: string): Promise<void> {
    const local = (await this.#graph.add({ driver: 'simulated', 'node-name': `local${i}` })) as SimulatedDisk;
    const remote = (await this.#graph.add({ driver: 'simulated', 'node-name': `remote${i}` })) as SimulatedDisk;
    const node = await this.#graph.add({
      driver: 'replication',
      'node-name': `root${i}`,
      children: [local.name, remote.name],
      'on-remote-error': onRemoteError,
    });
    this.disks.push({ local, remote, guest: new BlockBackend(`export 'root${i}'`, node, WRITE_EXCLUSIVE) });
  }
}

test('a write is acknowledged only after both copies have it', async () => {
  for (const first of ['local', 'remote'] as const) {
    const rig = await Rig.open();
    const write = rig.submit('write', 0, CHUNK, 5);
    rig.disk[first].settle();
    assert.equal(write.errno, null);
    rig.disk[first === 'local' ? 'remote' : 'local'].settle();
    assert.equal(write.errno, 0);
    assert.equal(rig.disk.local.bytes[0], 5);
    assert.equal(rig.disk.remote.bytes[0], 5);
  }
});

test('reads go to the local copy', async () => {
  const rig = await Rig.open();
  const read = rig.submit('read', 0, CHUNK);
  assert.equal(rig.disk.remote.waiting.length, 0);
  rig.disk.local.settle();
  assert.equal(read.errno, 0);
});

test('overlapping writes reach every copy one after the other', async () => {
  const rig = await Rig.open();
  const first = rig.submit('write', 0, CHUNK, 1);
  const second = rig.submit('write', CHUNK / 2, CHUNK, 2);
  const elsewhere = rig.submit('write', 4 * CHUNK, CHUNK, 3);
  assert.deepEqual(
    rig.disk.remote.waiting.map(request => request.offset),
    [0, 4 * CHUNK],
  );
  rig.disk.local.settle();
  assert.equal(rig.disk.local.waiting.length, 0);
  rig.disk.remote.settle();
  rig.disk.local.settle();
  assert.deepEqual([first.errno, second.errno, elsewhere.errno], [0, 0, 0]);
  assert.deepEqual(rig.disk.local.bytes, rig.disk.remote.bytes);
});

test('the first failed forward ends forwarding for all disks before that write is acknowledged', async () => {
  const rig = await Rig.open({ count: 2 });
  const [one, two] = rig.disks as [Disk, Disk];
  const write = rig.submit('write', 0, CHUNK, 1, one);
  one.local.settle();
  one.remote.step(0, EIO);
  assert.equal(write.errno, 0);
  assert.equal(rig.status(one).state, 'degraded');
  assert.equal(rig.status(two).state, 'degraded');

  const later = rig.submit('write', CHUNK, CHUNK, 2, two);
  assert.equal(two.remote.waiting.length, 0);
  two.local.settle();
  assert.equal(later.errno, 0);
  assert.equal(rig.status(two).dirtyBytes, GRANULE);
  assert.deepEqual(
    rig.said('REPLICATION_ERROR').map(({ child, operation, errno }) => ({ child, operation, errno })),
    [{ child: 'remote0', operation: 'write', errno: EIO }],
  );
});

test('a write acknowledged remotely after forwarding has ended is dirty', async () => {
  const rig = await Rig.open();
  const failing = rig.submit('write', 0, CHUNK);
  const other = rig.submit('write', 10 * GRANULE, CHUNK);
  rig.disk.local.settle();
  rig.disk.remote.step(0, EIO);
  assert.equal(failing.errno, 0);
  rig.disk.remote.settle();
  assert.equal(other.errno, 0);
  assert.equal(rig.status().dirtyBytes, 2 * GRANULE);
});

test('with on-remote-error=report a write fails whose forward failed, and later ones touch no disk', async () => {
  const rig = await Rig.open({ onRemoteError: 'report' });
  const write = rig.submit('write', 0, CHUNK);
  rig.disk.local.settle();
  rig.disk.remote.step(0, EIO);
  assert.equal(write.errno, EIO);
  assert.equal(rig.submit('write', CHUNK, CHUNK).errno, EIO);
  assert.equal(rig.submit('flush', 0, 0).errno, EIO);
  assert.equal(rig.disk.local.waiting.length, 0);
});

test('a local error is reported to the guest, is dirty, and no checkpoint vouches for it', async () => {
  const rig = await Rig.open();
  const write = rig.submit('write', 0, CHUNK, 9);
  rig.disk.remote.settle();
  rig.disk.local.step(0, EIO);
  assert.equal(write.errno, EIO);
  assert.equal(rig.disk.remote.bytes[0], 9);
  const { children, state, dirtyBytes } = rig.status();
  assert.deepEqual(
    children.map(child => child.state),
    ['failed', 'ok'],
  );
  assert.equal(state, 'running');
  assert.equal(dirtyBytes, GRANULE);
  await assert.rejects(rig.group.prepare(1, 1000), /local disk 'local0' failed: write/);
});

test('what is told of a copy is the first thing that went wrong with it', async () => {
  const rig = await Rig.open();
  const error = (index: number): string | undefined => rig.status().children[index]?.error;
  rig.submit('write', CHUNK, CHUNK);
  rig.disk.local.settle();
  rig.clock.advance(5300);
  assert.equal(error(1), `write of ${CHUNK} bytes at ${CHUNK} on 'remote0' failed: ETIMEDOUT`);
  rig.disk.remote.lose('the link is given up', ECONNRESET);
  rig.submit('write', 0, CHUNK);
  rig.disk.local.step(0, EIO);
  rig.submit('flush', 0, 0);
  rig.disk.local.step(0, EIO);
  rig.group.stop(null);
  assert.deepEqual(
    [error(0), error(1)],
    [`write of ${CHUNK} bytes at 0 failed: EIO`, `write of ${CHUNK} bytes at ${CHUNK} on 'remote0' failed: ETIMEDOUT`],
  );
});

test('no write is acknowledged that is on neither copy', async () => {
  const rig = await Rig.open();
  const write = rig.submit('write', 0, CHUNK);
  rig.disk.remote.lose('the peer is dead', ECONNRESET);
  rig.disk.local.step(0, EIO);
  assert.equal(write.errno, EIO);
  const later = rig.submit('write', 0, CHUNK);
  rig.disk.local.step(0, EIO);
  assert.equal(later.errno, EIO);
});

test('a remote copy that answers late is given up by the deadline and the write is acknowledged as dirty', async () => {
  const rig = await Rig.open();
  const write = rig.submit('write', 0, CHUNK);
  rig.disk.local.settle();
  rig.clock.advance(4900);
  assert.equal(write.errno, null);
  rig.clock.advance(400);
  assert.equal(write.errno, 0);
  assert.equal(rig.status().state, 'degraded');
  assert.equal(rig.status().dirtyBytes, GRANULE);
  const again = rig.submit('write', 0, CHUNK);
  rig.disk.local.settle();
  assert.equal(again.errno, 0);
  rig.disk.remote.settle();
});

test('a local disk that answers late fails the write by the deadline, and its payload is kept until it returns', async () => {
  const rig = await Rig.open();
  const pool = new BufferPool(CHUNK, 1);
  const slab = pool.take();
  const write = rig.submitSlab('write', 0, CHUNK, 1, slab);
  rig.disk.remote.settle();
  const waiting = rig.submit('write', 100, CHUNK);
  rig.clock.advance(5300);
  assert.equal(write.errno, EIO);
  assert.equal(waiting.errno, EIO);
  assert.equal(slab.references, 2);
  rig.disk.local.settle();
  assert.equal(slab.references, 1);
  assert.equal(rig.status().dirtyBytes, GRANULE);
  rig.stored(0);
});

test('a lost link makes exactly the writes dirty that no remote flush has covered', async () => {
  const rig = await Rig.open();
  rig.stored(0);
  const flush = rig.submit('flush', 0, 0);
  rig.stored(10 * GRANULE);
  rig.disk.local.settle();
  rig.disk.remote.settle();
  assert.equal(flush.errno, 0);
  rig.stored(20 * GRANULE);
  rig.disk.remote.lose('the link is cut', ECONNRESET);
  assert.equal(rig.status().state, 'degraded');
  assert.equal(rig.status().dirtyBytes, 2 * GRANULE);
});

test('the remote is flushed without being asked after a second, and after 32 MiB', async () => {
  const rig = await Rig.open({ diskBytes: 64 * 1024 * 1024 });
  rig.stored(0);
  rig.clock.advance(900);
  assert.equal(rig.disk.remote.waiting.length, 0);
  rig.clock.advance(300);
  assert.deepEqual(
    rig.disk.remote.waiting.map(request => request.kind),
    ['flush'],
  );
  rig.disk.remote.settle();
  rig.clock.advance(2000);
  assert.equal(rig.disk.remote.waiting.length, 0);

  for (let i = 0; i < 4; i++) rig.stored(i * 8 * 1024 * 1024, 8 * 1024 * 1024);
  rig.clock.advance(100);
  assert.deepEqual(
    rig.disk.remote.waiting.map(request => request.kind),
    ['flush'],
  );
  rig.disk.remote.settle();
  rig.disk.remote.lose('the link is cut', ECONNRESET);
  assert.equal(rig.status().dirtyBytes, 0);
});

test('a flush is acknowledged when both copies have flushed', async () => {
  const rig = await Rig.open();
  const flush = rig.submit('flush', 0, 0);
  rig.disk.local.settle();
  assert.equal(flush.errno, null);
  rig.disk.remote.settle();
  assert.equal(flush.errno, 0);
});

test('a remote flush that fails ends forwarding and makes what it would have covered dirty', async () => {
  const rig = await Rig.open();
  rig.stored(0);
  const flush = rig.submit('flush', 0, 0);
  rig.disk.local.settle();
  rig.disk.remote.step(0, EIO);
  assert.equal(flush.errno, 0);
  assert.equal(rig.status().state, 'degraded');
  assert.equal(rig.status().dirtyBytes, GRANULE);
});

test('a local flush that fails makes the writes dirty that no earlier flush has covered', async () => {
  const rig = await Rig.open();
  const settle = (): void => {
    rig.disk.local.settle();
    rig.disk.remote.settle();
  };
  rig.stored(0);
  rig.submit('flush', 0, 0);
  settle();
  rig.stored(GRANULE);
  const flush = rig.submit('flush', 0, 0);
  rig.disk.remote.settle();
  rig.disk.local.step(0, EIO);
  assert.equal(flush.errno, EIO);
  assert.equal(rig.status().dirtyBytes, GRANULE);
});

test('a write with FUA whose sync failed makes the writes dirty that no flush has covered', async () => {
  const rig = await Rig.open();
  for (let granule = 1; granule <= 10; granule++) rig.stored(granule * GRANULE);
  rig.submit('write', 0, CHUNK);
  rig.disk.remote.settle();
  rig.disk.local.step(0, EIO);
  assert.equal(rig.status().dirtyBytes, 11 * GRANULE);
});

test('a local disk that says it has failed makes them dirty at once, and no checkpoint vouches for it', async () => {
  const rig = await Rig.open();
  rig.stored(GRANULE);
  rig.disk.local.lose('a sync failed', EIO);
  assert.equal(rig.status().dirtyBytes, GRANULE);
  await assert.rejects(rig.group.prepare(1, 1000), /local disk 'local0' failed: a sync failed/);
});

test('discards travel as write-zeroes that may unmap, on every copy, in pieces of at most 64 MiB', async () => {
  const MiB = 1024 * 1024;
  const rig = await Rig.open({ diskBytes: 130 * MiB });
  const discard = rig.submit('discard', 0, 130 * MiB);
  const seen: string[] = [];
  while (discard.errno === null) {
    for (const copy of [rig.disk.local, rig.disk.remote]) {
      const [piece] = copy.waiting;
      if (piece !== undefined) seen.push(`${copy.name} ${piece.kind} ${piece.mayUnmap} ${piece.length / MiB}`);
      copy.step(0);
      copy.step(0);
    }
  }
  assert.equal(discard.errno, 0);
  assert.deepEqual(
    seen,
    [64, 64, 2].flatMap(size => [`local0 write-zeroes true ${size}`, `remote0 write-zeroes true ${size}`]),
  );
  assert.equal(rig.status().writes, 3);
});

test('before replication starts a write fails and a read succeeds', async () => {
  const rig = await Rig.open({ start: false });
  assert.equal(rig.submit('write', 0, CHUNK).errno, EIO);
  const read = rig.submit('read', 0, CHUNK);
  rig.disk.local.settle();
  assert.equal(read.errno, 0);
});

test('replication does not start over a lost link', async () => {
  const rig = await Rig.open({ start: false });
  rig.disk.remote.lose('the peer is dead', ECONNRESET);
  assert.throws(() => rig.start(), /'remote0' is not connected: the peer is dead/);
});

test('a prepare awaits the writes in flight and delays new ones until the resume', async () => {
  const rig = await Rig.open();
  const before = rig.submit('write', 0, CHUNK);
  let isPrepared = false;
  const preparing = rig.group.prepare(1, 1000).then(() => {
    isPrepared = true;
  });
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(isPrepared, false);
  const held = rig.submit('write', GRANULE, CHUNK);
  rig.disk.local.settle();
  rig.disk.remote.settle();
  await preparing;
  assert.equal(before.errno, 0);
  assert.equal(held.errno, null);
  assert.equal(rig.disk.remote.waiting.length, 0);
  assert.equal(rig.status().writes, 1);
  rig.group.resume(1);
  rig.disk.local.settle();
  rig.disk.remote.settle();
  assert.equal(held.errno, 0);
  assert.equal(rig.status().checkpoint, 1);
});

test('do on a primary ends the hold as resume does: no write waits for a command that never comes', async () => {
  const rig = await Rig.open();
  await rig.group.prepare(1, 1000);
  const held = rig.submit('write', 0, CHUNK);
  rig.group.do(1);
  rig.disk.local.settle();
  rig.disk.remote.settle();
  assert.equal(held.errno, 0);
});

test('a hold that is not resumed in time ends, and makes the checkpoint void', async () => {
  const rig = await Rig.open();
  await rig.group.prepare(1, 1000);
  const held = rig.submit('write', 0, CHUNK);
  rig.clock.advance(1100);
  rig.disk.local.settle();
  rig.disk.remote.settle();
  assert.equal(held.errno, 0);
  assert.throws(() => rig.group.resume(1), /had expired/);
  assert.equal(rig.status().checkpoint, 0);
  await rig.group.prepare(2, 1000);
  rig.group.resume(2);
  assert.equal(rig.status().checkpoint, 2);
});

test('a second prepare is refused while one is under way', async () => {
  const rig = await Rig.open();
  await rig.group.prepare(1, 1000);
  await assert.rejects(rig.group.prepare(2, 1000), /is being prepared/);
  rig.group.abort(1);
  await assert.rejects(rig.group.prepare(0, 1000), /not larger than the last one/);
});

test('a forward that fails during a prepare refuses the checkpoint and holds nothing', async () => {
  const rig = await Rig.open();
  const write = rig.submit('write', 0, CHUNK);
  const preparing = rig.group.prepare(1, 1000);
  rig.disk.local.settle();
  rig.disk.remote.step(0, EIO);
  await assert.rejects(preparing, /state is degraded/);
  assert.equal(write.errno, 0);
  const later = rig.submit('write', 0, CHUNK);
  rig.disk.local.settle();
  assert.equal(later.errno, 0);
});

test('the copies of a disk must be of one size', async () => {
  const images = new Map([
    ['a', Buffer.alloc(8192)],
    ['b', Buffer.alloc(4096)],
  ]);
  const graph = new BlockGraph({ drivers: [simulatedDriver(images), replicationDriver] });
  await graph.add({ driver: 'simulated', 'node-name': 'a' });
  await graph.add({ driver: 'simulated', 'node-name': 'b' });
  await assert.rejects(
    graph.add({ driver: 'replication', 'node-name': 'root', children: ['a', 'b'] }),
    /'b' has 4096 bytes and node 'a' has 8192/,
  );
  assert.equal(graph.node('a').parents.size, 0);
});
