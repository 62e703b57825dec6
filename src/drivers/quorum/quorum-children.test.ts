import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { HeldNode } from '../../../test/support/held-node.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { drivers } from '../index.ts';
import { MAX_CHILDREN } from './options.ts';

const SIZE = 4096;

async function graphWith(options: object, names = 'abcd'): Promise<BlockGraph> {
  const graph = new BlockGraph({ drivers });
  for (const name of names) await graph.add({ driver: 'memory', 'node-name': name, size: SIZE });
  await graph.add({ driver: 'quorum', 'node-name': 'q', children: ['a', 'b', 'c'], ...options });
  return graph;
}

/** The children of `q` as `role=node`, in their order. */
function childrenOf(graph: BlockGraph): string {
  return [...graph.node('q').children]
    .map(([role, edge]) => `${role.replace('children.', '')}=${edge.node.name}`)
    .join(' ');
}

test("children are numbered as QEMU's: a number comes again only after its child was the last to come", async () => {
  await using graph = await graphWith({ 'vote-threshold': 1 });
  const q = graph.node('q');
  await graph.removeChild(q, 'children.1');
  await graph.addChild(q, graph.node('d'));
  assert.equal(childrenOf(graph), '0=a 2=c 3=d');
  await graph.removeChild(q, 'children.3');
  await graph.addChild(q, graph.node('b'));
  assert.equal(childrenOf(graph), '0=a 2=c 3=b');
  await graph.removeChild(q, 'children.0');
  await graph.removeChild(q, 'children.2');
  await graph.addChild(q, graph.node('a'));
  assert.equal(childrenOf(graph), '3=b 4=a');
});

test('a child that was added takes part, and one that was removed does not', async () => {
  await using graph = await graphWith({ 'vote-threshold': 2 });
  const q = graph.node('q');
  using client = new DiskClient(q);
  await client.write(0, Buffer.alloc(SIZE, 1));
  await graph.removeChild(q, 'children.1');
  await graph.addChild(q, graph.node('d'));
  assert.deepEqual(await client.read(0, SIZE), Buffer.alloc(SIZE, 1), 'nothing is copied to it, and two agree');
  await client.write(0, Buffer.alloc(SIZE, 2));
  for (const [name, value] of [
    ['a', 2],
    ['b', 1],
    ['c', 2],
    ['d', 2],
  ] as const) {
    using disk = new DiskClient(graph.node(name), READ_SHARED);
    assert.deepEqual(await disk.read(0, SIZE), Buffer.alloc(SIZE, value), name);
  }
  assert.throws(() => new DiskClient(graph.node('d'), WRITE_EXCLUSIVE), /in use by node 'q'/);
  await graph.remove('b');
});

test("what QEMU refuses is refused in QEMU's words", async () => {
  await using graph = await graphWith({ 'vote-threshold': 3 });
  const q = graph.node('q');
  await assert.rejects(graph.removeChild(q, 'children.2'), {
    message: 'The number of children cannot be lower than the vote threshold 3',
  });
  await assert.rejects(graph.removeChild(q, 'children.9'), { message: "Node 'q' does not have child 'children.9'" });
  await assert.rejects(graph.addChild(q, graph.node('a')), { message: 'The node a already has a parent' });
  await assert.rejects(graph.addChild(q, q), {
    message: "Making 'q' a children.3 child of 'q' would create a cycle",
  });
  await graph.addChild(q, graph.node('d'));
  await graph.removeChild(q, 'children.0');

  await graph.add({ driver: 'memory', 'node-name': 'e', size: SIZE });
  const children = ['a', 'e'];
  const v = await graph.add({ driver: 'quorum', 'node-name': 'v', children, 'vote-threshold': 2, blkverify: true });
  await graph.add({ driver: 'memory', 'node-name': 'f', size: SIZE });
  await assert.rejects(graph.addChild(v, graph.node('f')), {
    message: 'Cannot add a child to a quorum in blkverify mode',
  });
  await assert.rejects(graph.removeChild(v, 'children.0'), {
    message: 'The number of children cannot be lower than the vote threshold 2',
  });
});

test('a child of another size is refused, and so is one more than a quorum takes', async () => {
  await using graph = await graphWith({ 'vote-threshold': 1 });
  const q = graph.node('q');
  const odd = await graph.add({ driver: 'memory', 'node-name': 'odd', size: 2 * SIZE });
  await assert.rejects(graph.addChild(q, odd), /Node 'odd' has 8192 bytes and quorum 'q' has 4096/);
  for (let i = 3; i < MAX_CHILDREN; i++) {
    await graph.addChild(q, await graph.add({ driver: 'memory', 'node-name': `more${i}`, size: SIZE }));
  }
  await assert.rejects(graph.addChild(q, graph.node('d')), /has 16 children, which is the most/);
});

test('a child that needs another alignment is refused', async () => {
  await using graph = await graphWith({ 'vote-threshold': 1 });
  const coarse = new HeldNode({ lengthBytes: SIZE, limits: { requestAlignment: 512 } });
  await assert.rejects(graph.addChild(graph.node('q'), coarse), /takes requests of 512 to/);
});

test('a quorum becomes read-only and writable again, with its children', async () => {
  await using graph = await graphWith({ 'vote-threshold': 2 });
  const definition = { driver: 'quorum', 'node-name': 'q', children: ['a', 'b', 'c'], 'vote-threshold': 2 };
  await graph.reopen([{ ...definition, 'read-only': true }]);
  assert.throws(() => new DiskClient(graph.node('q')), /read-only/);
  await graph.reopen([definition]);
  using client = new DiskClient(graph.node('q'));
  await client.write(0, Buffer.alloc(512, 1));
});
