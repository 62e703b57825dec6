import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { DiskClient } from '../../test/support/disk-client.ts';
import { HeldNode } from '../../test/support/held-node.ts';
import { EIO } from '../base/errno.ts';
import { BlockGraph } from './block-graph.ts';
import type { BlockNode } from './block-node.ts';
import type { NodeDefinition } from './driver.ts';
import { RequestPolicy } from './request-policy.ts';

const BYTES = 64 * 1024;

/** What reached the driver, in order: kind and whether it may leave holes. */
function reachedOf(node: HeldNode): readonly (readonly [string, boolean])[] {
  return node.held.map(({ kind, mayUnmap }) => [kind, mayUnmap]);
}

async function submitAll(node: HeldNode, client: DiskClient): Promise<readonly number[]> {
  const data = Buffer.alloc(BYTES);
  const almost = Buffer.alloc(BYTES);
  almost[BYTES - 1] = 1;
  const answers = [
    client.submit('write', 0, BYTES, { buffer: data }),
    client.submit('write', 0, BYTES, { buffer: almost }),
    client.submit('discard', 0, BYTES),
    client.submit('write-zeroes', 0, BYTES, { mayUnmap: true }),
    client.submit('flush', 0, 0),
  ];
  const reached = reachedOf(node);
  node.letGo();
  assert.deepEqual(await Promise.all(answers), [0, 0, 0, 0, 0]);
  return reached as never;
}

for (const { discard, detect, reached } of [
  {
    discard: 'ignore',
    detect: 'off',
    reached: [
      ['write', false],
      ['write', false],
      ['write-zeroes', false],
      ['flush', false],
    ],
  },
  {
    discard: 'unmap',
    detect: 'on',
    reached: [
      ['write-zeroes', false],
      ['write', false],
      ['discard', false],
      ['write-zeroes', true],
      ['flush', false],
    ],
  },
  {
    discard: 'unmap',
    detect: 'unmap',
    reached: [
      ['write-zeroes', true],
      ['write', false],
      ['discard', false],
      ['write-zeroes', true],
      ['flush', false],
    ],
  },
] as const) {
  test(`with discard=${discard} and detect-zeroes=${detect} the driver sees ${reached.map(([kind]) => kind)}`, async () => {
    const node = new HeldNode();
    node.policy = new RequestPolicy(node, discard, detect);
    node.holding = true;
    using client = new DiskClient(node);
    assert.deepEqual(await submitAll(node, client), reached);
  });
}

test('zeroes that could not be written fail the write they stand for', async () => {
  const node = new HeldNode();
  node.policy = new RequestPolicy(node, 'unmap', 'on');
  node.holding = true;
  using client = new DiskClient(node);
  const write = client.submit('write', 0, BYTES, { buffer: Buffer.alloc(BYTES), fua: true });
  const [zeroes] = node.held.splice(0);
  assert.equal(zeroes?.fua, true);
  zeroes?.complete(EIO);
  assert.equal(await write, EIO);
});

test('a graph gives nodes their policy, and reopening another one', async () => {
  const driver = {
    name: 'held',
    summary: '',
    options: z.strictObject({}),
    open: async () => new HeldNode(),
  };
  await using graph = new BlockGraph({ drivers: [driver] });
  const definition = { driver: 'held', 'node-name': 'disk' };
  const add = (options: object): Promise<unknown> => graph.add({ ...definition, ...options } as NodeDefinition);
  await assert.rejects(add({ 'detect-zeroes': 'unmap' }), /setting detect-zeroes to unmap is not allowed/);
  await assert.rejects(add({ 'force-share': true }), /can only be used with read-only images/);
  await add({});

  assert.equal(graph.node('disk').policy, null);
  await graph.reopen([{ ...definition, discard: 'ignore' }]);
  const { policy } = graph.node('disk') as BlockNode;
  assert.deepEqual([policy?.discard, policy?.detectZeroes], ['ignore', 'off']);
  await graph.reopen([definition]);
  assert.equal(graph.node('disk').policy, null);
});
