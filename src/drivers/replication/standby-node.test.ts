/** mode=secondary over a colo-buffer: the gate, and which node may be at the top. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { EIO } from '../../base/errno.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import { SimulatedClock } from '../../sim/simulated-clock.ts';
import { drivers } from '../index.ts';
import { StandbyNode } from './standby-node.ts';

const CHUNK = 4096;

async function graphWithStandby(): Promise<{ graph: BlockGraph; standby: StandbyNode }> {
  const graph = new BlockGraph({ drivers });
  await graph.add({ driver: 'memory', 'node-name': 'disk', size: 16 * CHUNK });
  await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
  const options = { driver: 'replication', mode: 'secondary', 'top-id': 'top', file: 'buffer' };
  const standby = await graph.add({ ...options, 'node-name': 'standby' });
  assert.ok(standby instanceof StandbyNode);
  return { graph, standby };
}

test('neither reads nor writes pass before the buffer runs; afterwards both do, and so do they after a take-over', async () => {
  const { graph, standby } = await graphWithStandby();
  await using _graph = graph;
  using view = new DiskClient(standby);
  const buffer = Buffer.alloc(CHUNK, 5);
  for (const kind of ['read', 'write', 'write-zeroes', 'discard'] as const) {
    assert.equal(await view.submit(kind, 0, CHUNK, { buffer }), EIO);
  }
  const group = ConsistencyGroup.start([graph.node('buffer')], new SimulatedClock(), () => {});
  await view.write(0, buffer);
  assert.deepEqual(await view.read(0, CHUNK), buffer);
  group.stop('latest');
  assert.deepEqual(await view.read(0, CHUNK), Buffer.alloc(CHUNK), 'latest drops what the standby wrote');
  await view.write(0, buffer);
  assert.deepEqual(await view.read(0, CHUNK), buffer);
});

test('the top is a node that nobody is above and that leads to the standby', async () => {
  const { graph, standby } = await graphWithStandby();
  await using _graph = graph;
  standby.requireTop(standby);
  await graph.add({ driver: 'raw', 'node-name': 'top', file: 'standby' });
  await graph.add({ driver: 'memory', 'node-name': 'other', size: CHUNK });
  standby.requireTop(graph.find('top'));
  for (const name of ['standby', 'other', 'nobody']) {
    assert.throws(() => standby.requireTop(graph.find(name)), /^ColobusError: No top_bs or it is invalid$/);
  }
});

for (const [what, options, says] of [
  ['no option at all', {}, /^Parameter 'children' is missing/],
  ['no file', { mode: 'primary' }, /^Parameter 'file' is missing/],
  ['no mode', { file: 'disk' }, /^Parameter 'mode' is missing/],
  ['an unknown mode', { mode: 'foo', file: 'disk' }, /^Parameter 'mode' does not accept value 'foo'/],
  ['a mode that is no string', { mode: 1, file: 'disk' }, /^Invalid parameter type for 'mode', expected: string/],
  [
    'a primary with a top',
    { mode: 'primary', file: 'disk', 'top-id': 'x' },
    /^The primary side does not support option top-id/,
  ],
  ['a secondary without top', { mode: 'secondary', file: 'buffer' }, /^Missing the option top-id/],
  [
    'a top that is no string',
    { mode: 'secondary', file: 'buffer', 'top-id': 1 },
    /^Invalid parameter type for 'top-id', expected: string/,
  ],
  ['both forms', { mode: 'primary', file: 'disk', children: ['disk', 'other'] }, /^Parameter 'children' is unexpected/],
  [
    'an option of the other form',
    { mode: 'primary', file: 'disk', 'on-remote-error': 'report' },
    /^Parameter 'on-remote-error' is unexpected/,
  ],
  [
    'a standby over a plain disk',
    { mode: 'secondary', file: 'disk', 'top-id': 'x' },
    /^Node 'disk' is of driver memory; the file of a secondary is a colo-buffer/,
  ],
] as const) {
  test(`${what} is refused, in QEMU's words where it has some, and leaves the nodes free`, async () => {
    await using graph = new BlockGraph({ drivers });
    await graph.add({ driver: 'memory', 'node-name': 'disk', size: CHUNK });
    await graph.add({ driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
    await assert.rejects(graph.add({ driver: 'replication', 'node-name': 'r', ...options }), { message: says });
    await graph.remove('buffer');
    await graph.remove('disk');
  });
}
