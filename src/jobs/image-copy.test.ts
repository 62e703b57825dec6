import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DiskClient } from '../../test/support/disk-client.ts';
import { EIO, ENOSPC } from '../base/errno.ts';
import { READ_STABLE } from '../block/block-edge.ts';
import { BlockGraph } from '../block/block-graph.ts';
import type { NodeDefinition } from '../block/driver.ts';
import { drivers } from '../drivers/index.ts';
import { compareImages } from './image-comparison.ts';
import { copyImage } from './image-copy.ts';
import { SideError } from './side.ts';

const KIB = 1024;
const SIZE = 1024 * KIB;
const memory: NodeDefinition = { driver: 'memory', size: SIZE };
const limits = { requests: 3, requestBytes: 96 * KIB };

const writes = fc.array(
  fc.record({ offset: fc.nat(SIZE - 1), length: fc.integer({ min: 1, max: 200 * KIB }), value: fc.nat(2) }),
  { maxLength: 8 },
);

/** Writes `value` over and over; a write of 0 leaves allocated zeroes. */
async function scribble(disk: DiskClient, what: readonly { offset: number; length: number; value: number }[]) {
  for (const { offset, length, value } of what) {
    await disk.write(offset, Buffer.alloc(Math.min(length, SIZE - offset), value));
  }
}

test('whatever is on both sides before, the target reads as the source afterwards', async () => {
  await fc.assert(
    fc.asyncProperty(writes, writes, fc.boolean(), async (before, onTarget, isNew) => {
      await using graph = new BlockGraph({ drivers });
      using source = new DiskClient(await graph.add({ ...memory, 'node-name': 'source' }));
      using target = new DiskClient(await graph.add({ ...memory, 'node-name': 'target' }));
      await scribble(source, before);
      if (!isNew) await scribble(target, onTarget);
      const progress: number[] = [];
      const { dataBytes, totalBytes } = await copyImage({
        ...limits,
        source: source.backend,
        target: target.backend,
        targetIsZero: isNew,
        onProgress: done => progress.push(done),
      });
      assert.ok((await target.read(0, SIZE)).equals(await source.read(0, SIZE)));
      assert.equal(await compareImages({ ...limits, one: source.backend, other: target.backend }), null);
      assert.equal(progress.at(-1), SIZE);
      assert.ok(dataBytes <= totalBytes);
      if (before.length === 0) assert.equal(dataBytes, 0);
    }),
    { numRuns: 40 },
  );
});

test('a comparison tells the first of the bytes that differ', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.nat(SIZE - 1), { minLength: 1, maxLength: 5 }), async offsets => {
      await using graph = new BlockGraph({ drivers });
      using one = new DiskClient(await graph.add({ ...memory, 'node-name': 'one' }));
      using other = new DiskClient(await graph.add({ ...memory, 'node-name': 'other' }));
      for (const offset of offsets) await other.write(offset, Buffer.from([1]));
      const found = await compareImages({ ...limits, one: one.backend, other: other.backend });
      assert.equal(found, Math.min(...offsets));
    }),
    { numRuns: 40 },
  );
});

for (const [what, side, event, errno] of [
  ['read', 'source', 'read_aio', EIO],
  ['written', 'target', 'write_aio', ENOSPC],
  ['flushed', 'target', 'flush_to_disk', EIO],
] as const) {
  test(`a ${side} that cannot be ${what} fails the copy with its errno and its name`, async () => {
    await using graph = new BlockGraph({ drivers });
    const broken = {
      driver: 'blkdebug',
      image: memory,
      'inject-error': [{ event, errno, once: true, immediately: true }],
    };
    const definitions = { source: memory, target: memory, [side]: broken };
    const plain = await graph.add({ ...definitions.source, 'node-name': 'source' });
    {
      using writer = new DiskClient(plain);
      await writer.write(0, Buffer.alloc(SIZE, 1));
    }
    using source = new DiskClient(plain, READ_STABLE, 'the source');
    using target = new DiskClient(await graph.add({ ...definitions.target, 'node-name': 'target' }));
    const copy = copyImage({ ...limits, source: source.backend, target: target.backend, targetIsZero: false });
    await assert.rejects(copy, (error: unknown) => {
      assert.ok(error instanceof SideError);
      assert.equal(error.errno, errno);
      assert.equal(error.side, side === 'source' ? source.backend : target.backend);
      return true;
    });
  });
}
