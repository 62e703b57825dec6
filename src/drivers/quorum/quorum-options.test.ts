import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockGraph } from '../../block/block-graph.ts';
import { drivers } from '../index.ts';

const VERIFY = 'blkverify=on can only be set if there are exactly two files and vote-threshold is 2';

async function graphWithDisks(): Promise<BlockGraph> {
  const graph = new BlockGraph({ drivers });
  for (const name of 'abc') await graph.add({ driver: 'memory', 'node-name': name, size: 4096 });
  await graph.add({ driver: 'memory', 'node-name': 'odd', size: 8192 });
  return graph;
}

test("options that do not fit together are refused in QEMU's words, and the children stay free", async () => {
  await using graph = await graphWithDisks();
  for (const [children, options, message] of [
    [[], { 'vote-threshold': 1 }, /^Number of provided children must be 1 or more$/],
    [['a'], {}, /^Parameter 'vote-threshold' is missing$/],
    [['a'], { 'vote-threshold': 0 }, /^Parameter 'vote-threshold' expects a value >= 1$/],
    [['a'], { 'vote-threshold': -1 }, /^Parameter 'vote-threshold' expects a value >= 1$/],
    [['a'], { 'vote-threshold': 2 }, /^threshold may not exceed children count$/],
    [['a'], { 'vote-threshold': 1, 'read-pattern': 'x' }, /^Parameter 'read-pattern' does not accept value 'x'/],
    [['a', 'b'], { 'vote-threshold': 1, blkverify: true }, new RegExp(`^${VERIFY}$`)],
    [['a', 'b', 'c'], { 'vote-threshold': 2, blkverify: true }, new RegExp(`^${VERIFY}$`)],
    [
      ['a', 'b'],
      { 'vote-threshold': 2, blkverify: true, 'rewrite-corrupted': true },
      /^rewrite-corrupted=on cannot be used with blkverify=on$/,
    ],
    [['a', 'odd'], { 'vote-threshold': 1 }, /^Could not refresh total sector count: Input\/output error; node 'odd'/],
    [['a', 'zz'], { 'vote-threshold': 1 }, /^Cannot find device='.*' nor node-name='zz'$/],
  ] as const) {
    await assert.rejects(graph.add({ driver: 'quorum', 'node-name': 'q', children, ...options }), { message });
  }
  await graph.add({ driver: 'quorum', 'node-name': 'q', children: ['a', 'b', 'c'], 'vote-threshold': 2 });
});

test('with fifo nothing is compared, so what belongs to comparing is taken as it comes', async () => {
  await using graph = await graphWithDisks();
  await graph.add({
    driver: 'quorum',
    'node-name': 'q',
    children: ['a', 'b', 'c'],
    'vote-threshold': 1,
    'read-pattern': 'fifo',
    blkverify: true,
    'rewrite-corrupted': true,
  });
});
