import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as z from 'zod';
import { DiskClient } from '../../test/support/disk-client.ts';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { UsageError } from '../base/errors.ts';
import { drivers } from '../drivers/index.ts';
import { lockImage } from '../os/image-lock.ts';
import { READ_SHARED } from './block-edge.ts';
import { BlockGraph } from './block-graph.ts';
import { BlockNode, type ChildLink, DEFAULT_LIMITS } from './block-node.ts';
import type { BlockRequest } from './block-request.ts';
import type { Driver } from './driver.ts';

const SIZE = 65_536;

/** Disks `a` of ones and `b` of twos in memory, and `top`, a raw node over `a`. */
async function graphOfTwo(known: readonly Driver[] = drivers): Promise<BlockGraph> {
  const graph = new BlockGraph({ drivers: known });
  for (const [name, value] of [
    ['a', 1],
    ['b', 2],
  ] as const) {
    using disk = new DiskClient(await graph.add({ driver: 'memory', 'node-name': name, size: SIZE }));
    await disk.write(0, Buffer.alloc(SIZE, value));
  }
  await graph.add({ driver: 'raw', 'node-name': 'top', file: 'a' });
  return graph;
}

test('all users of a replaced node use the other one, and requests in flight return first', async () => {
  await using graph = await graphOfTwo();
  await graph.add({
    driver: 'blkdebug',
    'node-name': 'slow',
    image: 'b',
    'inject-error': [{ event: 'read_aio', errno: 0, 'delay-ms': 20 }],
  });
  // The graph's timers keep no process alive.
  const alive = setInterval(() => {}, 1000);
  using top = new DiskClient(graph.node('slow'));
  const early = top.read(0, 10);
  await graph.replace(graph.node('b'), graph.node('top'));
  assert.deepEqual(await early, Buffer.alloc(10, 2));
  assert.deepEqual(await top.read(0, 10), Buffer.alloc(10, 1));
  assert.equal(graph.node('b').parents.size, 0);
  clearInterval(alive);
});

test('a replacement that a user cannot bear changes nothing', async () => {
  await using graph = await graphOfTwo();
  await graph.add({ driver: 'memory', 'node-name': 'small', size: 512 });
  using top = new DiskClient(graph.node('top'));
  await assert.rejects(
    graph.replace(graph.node('a'), graph.node('small')),
    /'small' has 512 bytes.*give one of the same/,
  );
  using _writer = new DiskClient(graph.node('b'));
  await assert.rejects(graph.replace(graph.node('a'), graph.node('b')), /'b' is written by|'b' is in use by/);
  assert.deepEqual(await top.read(0, 10), Buffer.alloc(10, 1));
});

test('a copy of a replicated disk is not replaced', async () => {
  await using graph = await graphOfTwo();
  await graph.remove('top');
  await graph.add({ driver: 'memory', 'node-name': 'c', size: SIZE });
  await graph.add({ driver: 'replication', 'node-name': 'root', children: ['a', 'b'] });
  await assert.rejects(graph.replace(graph.node('a'), graph.node('c')), /'a' is a copy of the replicated disk 'root'/);
  await assert.rejects(graph.resize(graph.node('root'), 2 * SIZE), /'root' is replicated/);
  await assert.rejects(graph.resize(graph.node('a'), 2 * SIZE), /Permission conflict on node 'a'.*node 'root'/);
});

test('a child that was defined with its parent goes when another takes its place, one with a name stays', async () => {
  await using graph = await graphOfTwo();
  await graph.add({
    driver: 'raw',
    'node-name': 'owner',
    file: { driver: 'memory', 'node-name': 'inner', size: SIZE },
  });
  await graph.reopen([{ driver: 'raw', 'node-name': 'owner', file: 'b' }]);
  assert.equal(graph.find('inner'), undefined);
  await graph.reopen([{ driver: 'raw', 'node-name': 'top', file: 'owner' }]);
  assert.ok(graph.find('a'));
  await assert.rejects(
    graph.reopen([{ driver: 'raw', 'node-name': 'owner', file: 'top' }]),
    /^UsageError: Making 'top' a file child of 'owner' would create a cycle$/,
  );
});

test('of several nodes all are reopened or none', async () => {
  await using graph = await graphOfTwo();
  const to = (node: string): object => ({ driver: 'raw', 'node-name': 'top', file: node });
  await assert.rejects(
    graph.reopen([to('b') as never, { driver: 'memory', 'node-name': 'a', size: 2 * SIZE }]),
    /Cannot change the option 'size'/,
  );
  using top = new DiskClient(graph.node('top'), READ_SHARED);
  assert.deepEqual(await top.read(0, 10), Buffer.alloc(10, 1));
});

test('a child that was defined with its parent stays where a later node cannot be reopened', async () => {
  await using graph = await graphOfTwo();
  const file = { driver: 'memory', 'node-name': 'inner', size: SIZE };
  await graph.add({ driver: 'raw', 'node-name': 'owner', file });
  await assert.rejects(
    graph.reopen([
      { driver: 'raw', 'node-name': 'owner', file: 'b' },
      { driver: 'memory', 'node-name': 'a', size: 2 * SIZE },
    ]),
    /^UsageError: Cannot change the option 'size'$/,
  );
  assert.equal(graph.node('owner').children.get('file')?.node, graph.node('inner'));
  await graph.reopen([{ driver: 'raw', 'node-name': 'owner', file }]);
  await graph.reopen([{ driver: 'raw', 'node-name': 'owner', file: 'b' }]);
  assert.equal(graph.find('inner'), undefined);
});

test('a node that a reopen may have to go back to is not removed while it is under way', async () => {
  await using graph = await graphOfTwo();
  for (const name of ['c', 'd']) await graph.add({ driver: 'memory', 'node-name': name, size: SIZE });
  await graph.add({
    driver: 'blkdebug',
    'node-name': 'slow',
    image: 'c',
    'inject-error': [{ event: 'read_aio', errno: 0, 'delay-ms': 20 }],
  });
  await graph.add({ driver: 'raw', 'node-name': 'over', file: 'slow' });
  // The graph's timers keep no process alive.
  const alive = setInterval(() => {}, 1000);
  using over = new DiskClient(graph.node('over'));
  const read = over.read(0, 10);
  const reopened = graph.reopen([
    { driver: 'raw', 'node-name': 'top', file: 'b' },
    { driver: 'raw', 'node-name': 'over', file: 'd' },
    { driver: 'memory', 'node-name': 'a', size: 2 * SIZE },
  ]);
  const refused = assert.rejects(reopened, /^UsageError: Cannot change the option 'size'$/);
  while (graph.node('a').parents.size > 0) await new Promise(setImmediate);
  await assert.rejects(graph.remove('a'), /Node a is part of a change under way; try again/);
  await Promise.all([read, refused]);
  assert.equal(graph.node('top').children.get('file')?.node, graph.node('a'));
  await graph.remove('top');
  await graph.remove('a');
  clearInterval(alive);
});

/** A disk that changes its options once, and takes a child and then fails. */
class FickleNode extends BlockNode {
  #hasChanged = false;

  override async reopen(): Promise<void> {
    if (this.#hasChanged) throw new UsageError('It does not go back');
    this.#hasChanged = true;
  }

  override linkForNewChild(): ChildLink {
    return { role: 'child', permissions: READ_SHARED };
  }

  override addChild(): void {
    throw new UsageError('No room for a child');
  }

  protected override perform(request: BlockRequest): void {
    request.complete(0);
  }
}

const fickleDriver: Driver<{ readonly mood: number }> = {
  name: 'fickle',
  summary: 'a disk that changes its options once',
  options: z.strictObject({ mood: z.int() }),
  open: async (_options, { nodeName: name }) =>
    new FickleNode({ name, driver: 'fickle', lengthBytes: SIZE, readOnly: false, limits: DEFAULT_LIMITS }),
};

test('what keeps a reopen from being undone is told behind its cause, and keeps nothing else from it', async () => {
  await using graph = await graphOfTwo([...drivers, fickleDriver]);
  await graph.add({ driver: 'fickle', 'node-name': 'fickle', mood: 1 });
  await assert.rejects(
    graph.reopen([
      { driver: 'raw', 'node-name': 'top', file: 'b' },
      { driver: 'fickle', 'node-name': 'fickle', mood: 2 },
      { driver: 'memory', 'node-name': 'a', size: 2 * SIZE },
    ]),
    /: Cannot change the option 'size'; what was changed before could not be taken back: It does not go back$/,
  );
  assert.equal(graph.node('top').children.get('file')?.node.name, 'a');
});

test('a node that a parent fails to take as its child is not in use', async () => {
  await using graph = await graphOfTwo([...drivers, fickleDriver]);
  const fickle = await graph.add({ driver: 'fickle', 'node-name': 'fickle', mood: 1 });
  await assert.rejects(graph.addChild(fickle, graph.node('b')), /No room for a child/);
  await graph.remove('b');
});

test('nodes take no child and give none away unless their driver says so', async () => {
  await using graph = await graphOfTwo();
  await assert.rejects(
    graph.addChild(graph.node('top'), graph.node('b')),
    /The node top does not support adding a child/,
  );
  await assert.rejects(graph.removeChild(graph.node('top'), 'file'), /The node top does not support removing a child/);
  await assert.rejects(graph.removeChild(graph.node('top'), 'fil'), /Node 'top' does not have child 'fil'/);
});

test('an image grows with the nodes above it and reads as zeroes where it is new', async () => {
  await using folder = await TemporaryFolder.create();
  writeFileSync(folder.file('image'), Buffer.alloc(SIZE, 1));
  await using graph = new BlockGraph({ drivers });
  const file = { driver: 'file', filename: folder.file('image') };
  const node = await graph.add({ driver: 'raw', 'node-name': 'disk', file });
  await graph.resize(node, 2 * SIZE);
  assert.equal(statSync(folder.file('image')).size, 2 * SIZE);
  using disk = new DiskClient(node);
  assert.deepEqual(await disk.read(SIZE - 10, 20), Buffer.alloc(20).fill(1, 0, 10));
  await disk.write(2 * SIZE - 10, Buffer.alloc(10, 3));
});

test('an image that is used, would shrink, is read-only or a window keeps its size', async () => {
  await using graph = await graphOfTwo();
  await assert.rejects(graph.resize(graph.node('a'), 2 * SIZE), /Permission conflict on node 'a'.*node 'top'/);
  await assert.rejects(graph.resize(graph.node('b'), 512), /Node 'b' has 65536 bytes and can only grow/);
  await graph.reopen([{ driver: 'memory', 'node-name': 'b', size: SIZE, 'read-only': true }]);
  await assert.rejects(graph.resize(graph.node('b'), 2 * SIZE), /Image is read-only/);
  const part = await graph.add({ driver: 'raw', 'node-name': 'part', file: 'b', size: 4096, 'read-only': true });
  await assert.rejects(part.resize(8192), /Cannot resize when offset or size is specified/);
});

test('nobody comes to use an image, or a node above it, while it grows', async () => {
  await using folder = await TemporaryFolder.create();
  writeFileSync(folder.file('image'), Buffer.alloc(SIZE));
  await using graph = await graphOfTwo();
  const image = await graph.add({ driver: 'file', 'node-name': 'image', filename: folder.file('image') });
  const over = await graph.add({ driver: 'raw', 'node-name': 'over', file: 'image' });
  const growing = graph.resize(over, 2 * SIZE);
  for (const node of [image, over]) {
    assert.throws(() => new DiskClient(node, READ_SHARED), /is being resized; try again when that is done/);
    await assert.rejects(graph.resize(node, 3 * SIZE), /is being resized/);
  }
  await assert.rejects(graph.remove('over'), /'?over'? is in use by block_resize/);
  await assert.rejects(graph.reopen([{ driver: 'raw', 'node-name': 'over', file: 'b' }]), /'image' is being resized/);
  await assert.rejects(
    graph.reopen([{ driver: 'raw', 'node-name': 'over', file: 'image', 'read-only': true }]),
    /cannot support read-write users/,
  );
  await growing;
  using disk = new DiskClient(over);
  await disk.write(2 * SIZE - 10, Buffer.alloc(10, 3));
});

test('a file that is reopened read-only keeps writers out and lets others write, and takes writes when it is back', async () => {
  await using folder = await TemporaryFolder.create();
  const filename = folder.file('image');
  writeFileSync(filename, Buffer.alloc(SIZE));
  await using graph = new BlockGraph({ drivers });
  const definition = { driver: 'file', 'node-name': 'disk', filename };
  const node = await graph.add(definition);
  {
    using disk = new DiskClient(node);
    await disk.write(0, Buffer.alloc(10, 1));
    await assert.rejects(
      graph.reopen([{ ...definition, 'read-only': true }]),
      /Read-only block node 'disk' cannot support read-write users/,
    );
  }
  await graph.reopen([{ ...definition, 'read-only': true }]);
  assert.throws(() => new DiskClient(node), /'disk' is read-only/);
  const other = openSync(filename, 'r+');
  assert.equal(lockImage(other, 'read'), 'locked');
  await assert.rejects(graph.reopen([definition]), /is in use by another process/);
  assert.ok(node.readOnly);
  closeSync(other);
  await graph.reopen([definition]);
  using disk = new DiskClient(node);
  await disk.write(0, Buffer.alloc(10, 2));
  assert.deepEqual(readFileSync(filename).subarray(0, 11), Buffer.alloc(11).fill(2, 0, 10));
});

test('a reopen that a new child cannot bear leaves the node as it was', async () => {
  await using graph = await graphOfTwo();
  await graph.add({ driver: 'raw', 'node-name': 'over-b', file: 'b', 'read-only': true });
  await graph.reopen([{ driver: 'raw', 'node-name': 'top', file: 'a', 'read-only': true }]);
  await assert.rejects(
    graph.reopen([{ driver: 'raw', 'node-name': 'top', file: 'over-b', 'read-only': false }]),
    /'over-b' is read-only/,
  );
  const top = graph.node('top');
  assert.equal(top.readOnly, true);
  assert.equal(top.children.get('file')?.node.name, 'a');
});
