import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { EIO } from '../../base/errno.ts';
import { READ_SHARED } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { drivers } from '../index.ts';

/** Not whole chunks, so that the last one is short. */
const SIZE = 20_000;

/** An overlay in memory above a disk of `SIZE` fives. */
async function overlayGraph(backing: object = {}): Promise<{ graph: BlockGraph; overlay: BlockNode }> {
  const graph = new BlockGraph({ drivers });
  const disk = await graph.add({ driver: 'memory', 'node-name': 'disk', size: SIZE });
  {
    using writer = new DiskClient(disk);
    await writer.write(0, Buffer.alloc(SIZE, 5));
  }
  const overlay = await graph.add({
    driver: 'overlay',
    'node-name': 'top',
    storage: 'memory',
    backing: 'disk',
    ...backing,
  });
  return { graph, overlay };
}

test('writes are seen above and the backing stays as it was, whatever is written', async () => {
  const change = fc.record({
    offset: fc.nat(SIZE - 1),
    length: fc.integer({ min: 1, max: 12_000 }),
    value: fc.nat(255),
    kind: fc.constantFrom('write', 'write-zeroes', 'discard'),
  });
  const property = fc.asyncProperty(fc.array(change, { maxLength: 10 }), async changes => {
    const { graph, overlay } = await overlayGraph();
    {
      using top = new DiskClient(overlay);
      const model = Buffer.alloc(SIZE, 5);
      for (const { offset, length: wanted, value, kind } of changes) {
        const length = Math.min(wanted, SIZE - offset);
        assert.equal(await top.submit(kind, offset, length, { buffer: Buffer.alloc(length, value) }), 0);
        model.fill(kind === 'write' ? value : 0, offset, offset + length);
        assert.ok((await top.read(0, SIZE)).equals(model));
      }
      using disk = new DiskClient(graph.node('disk'), READ_SHARED);
      assert.ok((await disk.read(0, SIZE)).equals(Buffer.alloc(SIZE, 5)));
    }
    await graph[Symbol.asyncDispose]();
  });
  await fc.assert(property, { numRuns: 50 });
});

test('concurrent writes to parts of one chunk all take effect', async () => {
  const { graph, overlay } = await overlayGraph({
    backing: { driver: 'blkdebug', image: 'disk', 'inject-error': [{ event: 'read_aio', errno: 0 }] },
  });
  await using _graph = graph;
  // The rule delays the reads that fill the chunk by a tick, so that the writes meet.
  const keepAlive = setInterval(() => {}, 1000);
  using top = new DiskClient(overlay);
  await Promise.all([1, 2, 3, 4].map(value => top.write(4096 + value * 500, Buffer.alloc(500, value))));
  const expected = Buffer.alloc(4096, 5);
  for (const value of [1, 2, 3, 4]) expected.fill(value, value * 500, value * 500 + 500);
  assert.ok((await top.read(4096, 4096)).equals(expected));
  clearInterval(keepAlive);
});

test('a write whose chunk cannot be filled fails and leaves the old content in view', async () => {
  const { graph, overlay } = await overlayGraph({
    backing: {
      driver: 'blkdebug',
      image: 'disk',
      'inject-error': [{ event: 'read_aio', once: true, immediately: true }],
    },
  });
  await using _graph = graph;
  using top = new DiskClient(overlay);
  assert.equal(await top.submit('write', 100, 100, { buffer: Buffer.alloc(100, 1) }), EIO);
  assert.ok((await top.read(0, 4096)).equals(Buffer.alloc(4096, 5)));
  await top.write(100, Buffer.alloc(100, 1));
  assert.ok((await top.read(0, 300)).equals(Buffer.alloc(300, 5).fill(1, 100, 200)));
});

test('nobody writes to the backing while an overlay is above it', async () => {
  const { graph } = await overlayGraph();
  await using _graph = graph;
  assert.throws(() => new DiskClient(graph.node('disk')), /in use by node 'top'/);
});

test('storage in a file leaves no file behind, and one that exists is refused and kept', async () => {
  await using folder = await TemporaryFolder.create();
  await using graph = new BlockGraph({ drivers });
  const backing = { driver: 'memory', size: SIZE };
  const overlay = { driver: 'overlay', backing, storage: folder.file('storage') };
  using top = new DiskClient(await graph.add({ ...overlay, 'node-name': 'top' }));
  await top.write(0, Buffer.alloc(100, 1));
  assert.deepEqual(readdirSync(folder.path), []);
  writeFileSync(folder.file('storage'), 'precious');
  await assert.rejects(graph.add({ ...overlay, 'node-name': 'other' }), /storage' exists; remove it/);
  assert.ok(existsSync(folder.file('storage')));
  assert.equal(graph.find('other'), undefined);
});
