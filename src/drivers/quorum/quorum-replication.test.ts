import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { systemClock } from '../../base/clock.ts';
import { EIO } from '../../base/errno.ts';
import { READ_SHARED } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { ConsistencyGroup } from '../../block/consistency-group.ts';
import { drivers } from '../index.ts';

const SIZE = 64 * 1024;

test('a replicated disk below a quorum is started, checkpointed and stopped while the quorum writes', async () => {
  await using graph = new BlockGraph({ drivers });
  for (const name of ['local', 'remote', 'spare']) {
    await graph.add({ driver: 'memory', 'node-name': name, size: SIZE });
  }
  const replicated = await graph.add({
    driver: 'replication',
    'node-name': 'replicated',
    children: ['local', 'remote'],
  });
  const children = ['replicated', 'spare'];
  const quorum = await graph.add({ driver: 'quorum', 'node-name': 'q', children, 'vote-threshold': 2 });
  using client = new DiskClient(quorum);
  assert.equal(await client.submit('write', 0, 512, { buffer: Buffer.alloc(512, 1) }), EIO, 'not started');

  const group = ConsistencyGroup.start([replicated], systemClock, () => {});
  await client.write(0, Buffer.alloc(512, 2));
  await group.prepare(1, 5000);
  const held = client.submit('write', 0, 512, { buffer: Buffer.alloc(512, 3) });
  group.resume(1);
  assert.equal(await held, 0);
  for (const name of ['local', 'remote', 'spare']) {
    using disk = new DiskClient(graph.node(name), READ_SHARED);
    assert.deepEqual(await disk.read(0, 512), Buffer.alloc(512, 3), name);
  }
  group.stop(null);
});
