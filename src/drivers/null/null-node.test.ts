import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { ENOSPC } from '../../base/errno.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { nullDriver } from './null-node.ts';

const LARGEST = Number.MAX_SAFE_INTEGER;

test('a disk of 2^53 - 1 bytes is used up to its last byte', async () => {
  await using graph = new BlockGraph({ drivers: [nullDriver] });
  using disk = new DiskClient(await graph.add({ driver: 'null-co', 'node-name': 'disk', size: LARGEST }));
  assert.equal(await disk.submit('write', LARGEST - 512, 512, { buffer: Buffer.alloc(512) }), 0);
  assert.equal(await disk.submit('write', LARGEST - 511, 512, { buffer: Buffer.alloc(512) }), ENOSPC);
  const { lengths, flags } = await disk.blockStatus(0, LARGEST);
  assert.deepEqual({ lengths, flags }, { lengths: [LARGEST], flags: [EXTENT_HOLE | EXTENT_ZERO] });
});

test('what is written is forgotten', async () => {
  await using graph = new BlockGraph({ drivers: [nullDriver] });
  using disk = new DiskClient(await graph.add({ driver: 'null', 'node-name': 'disk' }));
  await disk.write(0, Buffer.alloc(512, 1));
  assert.deepEqual(await disk.read(0, 512), Buffer.alloc(512));
});

test('a size beyond 2^53 - 1 is refused', async () => {
  await using graph = new BlockGraph({ drivers: [nullDriver] });
  await assert.rejects(graph.add({ driver: 'null', 'node-name': 'disk', size: 2 ** 53 }), /size/);
});

test('with a latency every request takes as long', async () => {
  const clock = new ManualClock();
  await using graph = new BlockGraph({ drivers: [nullDriver], clock });
  using disk = new DiskClient(await graph.add({ driver: 'null-co', 'node-name': 'disk', 'latency-ns': 1_000_001 }));
  let ended = 0;
  const answers = (['write', 'read', 'flush'] as const).map(async kind => {
    assert.equal(await disk.submit(kind, 0, 512, { buffer: Buffer.alloc(512) }), 0);
    ended += 1;
  });
  clock.advance(1);
  await Promise.resolve();
  assert.equal(ended, 0);
  clock.advance(1);
  await Promise.all(answers);
  assert.equal(ended, 3);
});
