import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { EINVAL, ENOSPC } from '../../base/errno.ts';
import { READ_SHARED } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { memoryDriver } from '../memory/memory-node.ts';
import { rawDriver } from './raw-node.ts';

async function graphWithDisk(size: number): Promise<BlockGraph> {
  const graph = new BlockGraph({ drivers: [memoryDriver, rawDriver] });
  await graph.add({ driver: 'memory', 'node-name': 'disk', size });
  return graph;
}

test('a window shows its part of the child and nothing of the rest', async () => {
  await using graph = await graphWithDisk(10_000);
  using window = new DiskClient(
    await graph.add({ driver: 'raw', 'node-name': 'w', file: 'disk', offset: 1000, size: '2K' }),
  );
  assert.equal(window.backend.node.lengthBytes, 2048);
  await window.write(0, Buffer.alloc(2048, 7));
  assert.equal(await window.submit('write', 2047, 2, { buffer: Buffer.alloc(2) }), ENOSPC);
  assert.equal(await window.submit('read', 2047, 2, { buffer: Buffer.alloc(2) }), EINVAL);
  using disk = new DiskClient(graph.node('disk'), READ_SHARED);
  const whole = await disk.read(0, 10_000);
  const expected = Buffer.alloc(10_000).fill(7, 1000, 3048);
  assert.ok(whole.equals(expected));
});

test('without a size the window reaches to the end', async () => {
  await using graph = await graphWithDisk(10_000);
  const node = await graph.add({ driver: 'raw', 'node-name': 'w', file: 'disk', offset: 9999 });
  assert.equal(node.lengthBytes, 1);
});

test('a window outside its child is refused and leaves the child free', async () => {
  await using graph = await graphWithDisk(10_000);
  for (const window of [{ offset: 10_001 }, { offset: 1, size: 10_000 }, { size: 10_001 }]) {
    await assert.rejects(
      graph.add({ driver: 'raw', 'node-name': 'w', file: 'disk', ...window }),
      /do not lie within node 'disk' of 10000 bytes/,
    );
  }
  await graph.remove('disk');
});
