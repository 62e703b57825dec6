import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { EIO, ENOSPC, ENOTSUP } from '../../base/errno.ts';
import { silentLogger } from '../../base/logger.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import type { BlockEvent } from '../../block/block-event.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { drivers } from '../index.ts';

const SIZE = 64 * 1024;

/** A graph with memory disks `a`, `b`, …, each under a blkdebug node `A`, `B`, … with rules of its own. */
class Fixture implements AsyncDisposable {
  readonly events: BlockEvent[] = [];
  readonly complaints: string[] = [];
  readonly graph: BlockGraph;

  constructor() {
    this.graph = new BlockGraph({
      drivers,
      emit: event => this.events.push(event),
      logger: { ...silentLogger, error: (_fields, message) => this.complaints.push(message) },
    });
  }

  /** Opens the quorum `q`; `rules` are injected errors by the capital letter of a child. */
  static async open(
    names: string,
    options: object,
    rules: Readonly<Record<string, readonly object[]>> = {},
  ): Promise<{ fixture: Fixture; disk: DiskClient }> {
    const fixture = new Fixture();
    for (const name of names) {
      await fixture.graph.add({ driver: 'memory', 'node-name': name, size: SIZE });
      const injected = { 'inject-error': rules[name.toUpperCase()] ?? [] };
      await fixture.graph.add({ driver: 'blkdebug', 'node-name': name.toUpperCase(), image: name, ...injected });
    }
    const children = [...names.toUpperCase()];
    const node = await fixture.graph.add({ driver: 'quorum', 'node-name': 'q', children, ...options });
    return { fixture, disk: new DiskClient(node, node.readOnly ? READ_SHARED : WRITE_EXCLUSIVE) };
  }

  /** The bytes of the memory disk `name`, past everything above it. */
  async bytes(name: string, offset = 0, length = SIZE): Promise<Buffer> {
    using client = new DiskClient(this.graph.node(name), READ_SHARED);
    return await client.read(offset, length);
  }

  /** Writes to the memory disk `name` behind the quorum's back. */
  async corrupt(name: string, offset: number, bytes: Buffer): Promise<void> {
    const [above] = this.graph.node(name).parents;
    const permissions = above?.permissions ?? WRITE_EXCLUSIVE;
    above?.setPermissions({ write: permissions.write, shareWrite: true });
    using client = new DiskClient(this.graph.node(name), { write: true, shareWrite: true });
    await client.write(offset, bytes);
    client.backend.edge.setPermissions(READ_SHARED);
    above?.setPermissions(permissions);
  }

  /** What happened since the last call. */
  takeEvents(): object[] {
    return this.events.splice(0).map(({ name, data }) => ({ name, ...data }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.graph[Symbol.asyncDispose]();
  }
}

/** The events of a failing or deviating child and of the quorum, for sectors as they come. */
function bad(type: string, child: string, error: string | null, sectors: readonly [number, number]): object {
  const [first, count] = sectors;
  const place = { 'node-name': child, 'sector-num': first, 'sectors-count': count };
  return { name: 'QUORUM_REPORT_BAD', type, ...(error === null ? {} : { error }), ...place };
}

function failure(first: number, count: number): object {
  return { name: 'QUORUM_FAILURE', reference: 'q', 'sector-num': first, 'sectors-count': count };
}

const IO_ERROR = 'Input/output error';
const NO_SPACE = 'No space left on device';
const fails = (iotype: string, errno: number = EIO): object[] => [{ event: 'none', iotype, errno, immediately: true }];

test('writes, zeroes and discards reach every child', async () => {
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 2 });
  await using _ = fixture;
  using client = disk;
  await client.write(1000, Buffer.alloc(9000, 5));
  await client.writeZeroes(2000, 1000);
  await client.discard(4000, 1000);
  const expected = Buffer.alloc(SIZE).fill(5, 1000, 10_000).fill(0, 2000, 3000).fill(0, 4000, 5000);
  for (const name of 'abc') assert.ok((await fixture.bytes(name)).equals(expected), name);
  assert.deepEqual(fixture.takeEvents(), []);
});

test('a discard is a writing of zeroes for the children, so that they stay alike', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 2 }, { A: fails('discard') });
  await using _ = fixture;
  using client = disk;
  await client.write(0, Buffer.alloc(4096, 1));
  await client.discard(0, 4096);
  assert.deepEqual(fixture.takeEvents(), []);
});

test('a write-zeroes that one child cannot do fast fails and says nothing against the child', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 1 }, { A: fails('write-zeroes', ENOTSUP) });
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('write-zeroes', 0, 4096, { fastOnly: true }), ENOTSUP);
  assert.deepEqual(fixture.takeEvents(), []);
});

test('a write succeeds where as many children as the threshold says have it, and the others are told of', async () => {
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 2 }, { A: fails('write') });
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('write', 512, 4096, { buffer: Buffer.alloc(4096, 1) }), 0);
  assert.deepEqual(fixture.takeEvents(), [bad('write', 'A', IO_ERROR, [1, 8])]);
});

test('a write that too few children have fails with the most frequent errno', async () => {
  const rules = { A: fails('write'), B: fails('write', ENOSPC), C: fails('write', ENOSPC) };
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 1 }, rules);
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('write', 511, 2, { buffer: Buffer.alloc(2) }), ENOSPC);
  assert.deepEqual(fixture.takeEvents(), [
    bad('write', 'A', IO_ERROR, [0, 2]),
    bad('write', 'B', NO_SPACE, [0, 2]),
    bad('write', 'C', NO_SPACE, [0, 2]),
    failure(0, 2),
  ]);
});

test('a write-zeroes is a write where it fails', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 2 }, { A: fails('write-zeroes') });
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('write-zeroes', 0, 4096), EIO);
  assert.deepEqual(fixture.takeEvents(), [bad('write', 'A', IO_ERROR, [0, 8]), failure(0, 8)]);
});

test('a flush succeeds where as many children as the threshold says have flushed', async () => {
  const rules = { A: fails('flush'), B: fails('flush', ENOSPC) };
  for (const [threshold, errno] of [
    [1, 0],
    [2, ENOSPC],
  ] as const) {
    const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': threshold }, rules);
    await using _ = fixture;
    using client = disk;
    assert.equal(await client.submit('flush', 0, 0), errno);
    assert.deepEqual(fixture.takeEvents(), [bad('flush', 'A', IO_ERROR, [0, 0]), bad('flush', 'B', NO_SPACE, [0, 0])]);
  }
});

test('a flush fails where only children that missed a write have flushed', async () => {
  const rules = { A: fails('write'), B: fails('flush') };
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 1 }, rules);
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('write', 0, 512, { buffer: Buffer.alloc(512, 1) }), 0);
  assert.equal(await client.submit('flush', 0, 0), EIO);
});

test('a read that differs is outvoted, and the loser is told of', async () => {
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 2 });
  await using _ = fixture;
  using client = disk;
  await client.write(0, Buffer.alloc(SIZE, 1));
  for (const [loser, at] of [
    ['a', 0],
    ['b', 20_000],
    ['c', 40_000],
  ] as const) {
    await fixture.corrupt(loser, at, Buffer.alloc(4096, 2));
    assert.ok((await client.read(at, 10_240)).equals(Buffer.alloc(10_240, 1)), loser);
    const sectors = [Math.floor(at / 512), Math.ceil((at + 10_240) / 512) - Math.floor(at / 512)] as const;
    assert.deepEqual(fixture.takeEvents(), [bad('read', loser.toUpperCase(), null, sectors)]);
    assert.equal((await fixture.bytes(loser))[at], 2, 'nothing is rewritten unless asked for');
  }
});

test('with rewrite-corrupted the losers get the version that was agreed on, in the range that was read', async () => {
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 2, 'rewrite-corrupted': true });
  await using _ = fixture;
  using client = disk;
  await client.write(0, Buffer.alloc(SIZE, 1));
  await fixture.corrupt('a', 0, Buffer.alloc(8192, 2));
  assert.ok((await client.read(100, 1000)).equals(Buffer.alloc(1000, 1)));
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'A', null, [0, 3])]);
  assert.ok((await fixture.bytes('a', 0, 8192)).equals(Buffer.alloc(8192, 2).fill(1, 100, 1100)));
  assert.ok((await client.read(100, 1000)).equals(Buffer.alloc(1000, 1)));
  assert.deepEqual(fixture.takeEvents(), []);
});

test('what cannot be rewritten does not fail the read', async () => {
  const options = { 'vote-threshold': 2, 'rewrite-corrupted': true };
  const { fixture, disk } = await Fixture.open('abc', options, { B: fails('write') });
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 0, Buffer.alloc(512, 2));
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512)));
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'B', null, [0, 1])]);
});

test('a read on which too few agree fails', async () => {
  const { fixture, disk } = await Fixture.open('abc', { 'vote-threshold': 2 });
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 0, Buffer.alloc(1, 2));
  await fixture.corrupt('c', 0, Buffer.alloc(1, 3));
  assert.equal(await client.submit('read', 0, 512, { buffer: Buffer.alloc(512) }), EIO);
  assert.deepEqual(fixture.takeEvents(), [failure(0, 1)]);
});

test('a child that cannot be read is told of once, and does not vote', async () => {
  const { fixture, disk } = await Fixture.open('abcd', { 'vote-threshold': 2 }, { A: fails('read', ENOSPC) });
  await using _ = fixture;
  using client = disk;
  await client.write(0, Buffer.alloc(512, 1));
  await fixture.corrupt('c', 0, Buffer.alloc(512, 2));
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512, 1)));
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'A', NO_SPACE, [0, 1]), bad('read', 'C', null, [0, 1])]);
});

test('a read that too few children can answer fails with the most frequent errno', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 2 }, { B: fails('read', ENOSPC) });
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('read', 0, 512, { buffer: Buffer.alloc(512) }), ENOSPC);
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'B', NO_SPACE, [0, 1]), failure(0, 1)]);
});

test('fifo takes the answer of the first child that has one', async () => {
  const options = { 'vote-threshold': 2, 'read-pattern': 'fifo' };
  const { fixture, disk } = await Fixture.open('abc', options, { A: fails('read') });
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 0, Buffer.alloc(512, 2));
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512, 2)));
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'A', IO_ERROR, [0, 1])]);
});

test('fifo fails with the errno of the last child where none has an answer', async () => {
  const options = { 'vote-threshold': 1, 'read-pattern': 'fifo' };
  const { fixture, disk } = await Fixture.open('ab', options, { A: fails('read'), B: fails('read', ENOSPC) });
  await using _ = fixture;
  using client = disk;
  assert.equal(await client.submit('read', 0, 512, { buffer: Buffer.alloc(512) }), ENOSPC);
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'A', IO_ERROR, [0, 1]), bad('read', 'B', NO_SPACE, [0, 1])]);
});

test('blkverify fails a read where the two differ, and says where', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 2, blkverify: true });
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 700, Buffer.alloc(1, 2));
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512)));
  assert.equal(await client.submit('read', 512, 4096, { buffer: Buffer.alloc(4096) }), EIO);
  assert.deepEqual(fixture.complaints, ['quorum: offset=512 bytes=4096 contents mismatch at offset 700']);
});

test('only what all children call zero is zero', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 2 });
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 8192, Buffer.alloc(4096, 2));
  const { lengths, flags } = await client.blockStatus(0, SIZE);
  assert.deepEqual(lengths, [8192, 4096, SIZE - 12_288]);
  assert.deepEqual(flags, [EXTENT_HOLE | EXTENT_ZERO, 0, EXTENT_HOLE | EXTENT_ZERO]);
});

test('where a child does not tell its status everything may be data', async () => {
  const { fixture, disk } = await Fixture.open('ab', { 'vote-threshold': 1 }, { A: fails('block-status') });
  await using _ = fixture;
  using client = disk;
  const { lengths, flags } = await client.blockStatus(0, SIZE);
  assert.deepEqual({ lengths, flags }, { lengths: [SIZE], flags: [0] });
  assert.deepEqual(fixture.takeEvents(), [bad('read', 'A', IO_ERROR, [0, 128])]);
});

test('a read-only quorum rewrites where it may write to its children', async () => {
  const options = { 'vote-threshold': 2, 'rewrite-corrupted': true, 'read-only': true };
  const { fixture, disk } = await Fixture.open('abc', options);
  await using _ = fixture;
  using client = disk;
  await fixture.corrupt('b', 0, Buffer.alloc(512, 2));
  assert.ok((await client.read(0, 512)).equals(Buffer.alloc(512)));
  assert.ok((await fixture.bytes('b', 0, 512)).equals(Buffer.alloc(512)));
});
