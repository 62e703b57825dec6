import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { DiskClient } from '../../../test/support/disk-client.ts';
import { TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { EIO } from '../../base/errno.ts';
import { UsageError } from '../../base/errors.ts';
import { READ_SHARED } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { fileDriver } from './file-driver.ts';

const MIB = 1024 * 1024;

function newGraph(): BlockGraph {
  return new BlockGraph({ drivers: [fileDriver] });
}

test('bad images are refused in one sentence that names them, and nothing is changed', async () => {
  await using folder = await TemporaryFolder.create();
  await using graph = newGraph();
  mkdirSync(folder.file('folder'));
  writeFileSync(folder.file('empty'), '');
  writeFileSync(folder.file('protected'), Buffer.alloc(512));
  chmodSync(folder.file('protected'), 0o444);
  spawnSync('mkfifo', [folder.file('fifo')]);
  const before = readdirSync(folder.path);
  for (const [name, reason] of [
    ['missing', /No such file or directory/],
    ['folder', /is a directory/],
    ['empty', /has length 0/],
    ['protected', /is read-only/],
    ['fifo', /neither a file nor a block device/],
    ['protected/below', /cannot be opened/],
  ] as const) {
    const filename = folder.file(name);
    await assert.rejects(graph.add({ driver: 'file', 'node-name': 'disk', filename }), (error: unknown) => {
      assert.ok(error instanceof UsageError, `${name}: ${String(error)}`);
      assert.match(error.message, reason);
      assert.ok(error.message.includes(filename));
      return true;
    });
  }
  assert.deepEqual(readdirSync(folder.path), before);
  assert.deepEqual(graph.nodes(), []);
});

test('a second writer in this process is refused until the first is gone', async () => {
  await using folder = await TemporaryFolder.create();
  await using graph = newGraph();
  const filename = folder.file('image');
  writeFileSync(filename, Buffer.alloc(512));
  await graph.add({ driver: 'file', 'node-name': 'first', filename });
  await assert.rejects(graph.add({ driver: 'file', 'node-name': 'second', filename }), /is in use by another process/);
  await graph.add({ driver: 'file', 'node-name': 'anyway', filename, 'force-share': true, 'read-only': true });
  await graph.remove('first');
  await graph.add({ driver: 'file', 'node-name': 'second', filename });
});

test('a write-protected image opens read-only', async () => {
  await using folder = await TemporaryFolder.create();
  await using graph = newGraph();
  writeFileSync(folder.file('image'), Buffer.alloc(700, 5));
  chmodSync(folder.file('image'), 0o444);
  const node = await graph.add({
    driver: 'file',
    'node-name': 'disk',
    filename: folder.file('image'),
    'read-only': true,
  });
  using disk = new DiskClient(node, READ_SHARED);
  assert.deepEqual(await disk.read(100, 600), Buffer.alloc(600, 5));
});

for (const aio of ['sync', 'threads'] as const) {
  test(`an image that became shorter fails the read with EIO instead of making bytes up (${aio})`, async () => {
    await using folder = await TemporaryFolder.create();
    await using graph = newGraph();
    const filename = folder.file('image');
    writeFileSync(filename, Buffer.alloc(8192, 1));
    using disk = new DiskClient(await graph.add({ driver: 'file', 'node-name': 'disk', filename, aio }));
    truncateSync(filename, 4096);
    assert.equal(await disk.submit('read', 0, 8192, { buffer: Buffer.alloc(8192) }), EIO);
    assert.deepEqual(await disk.read(0, 4096), Buffer.alloc(4096, 1));
  });

  test(`a discard gives space back, which a block-status shows (${aio})`, async () => {
    await using folder = await TemporaryFolder.create();
    await using graph = newGraph();
    const filename = folder.file('image');
    writeFileSync(filename, Buffer.alloc(3 * MIB, 1));
    using disk = new DiskClient(await graph.add({ driver: 'file', 'node-name': 'disk', filename, aio }));
    const blocksBefore = statSync(filename).blocks;
    await disk.discard(MIB, MIB);
    assert.ok(statSync(filename).blocks < blocksBefore);
    const { lengths, flags } = await disk.blockStatus(0, 3 * MIB);
    assert.deepEqual({ lengths, flags }, { lengths: [MIB, MIB, MIB], flags: [0, EXTENT_HOLE | EXTENT_ZERO, 0] });
  });
}

test('a write-zeroes that may not unmap keeps the space, also where only holes can be punched', async () => {
  for (const place of ['disk', 'memory'] as const) {
    await using folder = await TemporaryFolder.create(place);
    await using graph = newGraph();
    const filename = folder.file('image');
    writeFileSync(filename, Buffer.alloc(MIB, 1));
    using disk = new DiskClient(await graph.add({ driver: 'file', 'node-name': 'disk', filename }));
    const blocksBefore = statSync(filename).blocks;
    await disk.writeZeroes(0, MIB);
    assert.ok(readFileSync(filename).equals(Buffer.alloc(MIB)));
    assert.ok(statSync(filename).blocks >= blocksBefore, place);
  }
});

test('removing the node waits for the kernel and leaves the data in the file', async () => {
  await using folder = await TemporaryFolder.create();
  const graph = newGraph();
  const filename = folder.file('image');
  writeFileSync(filename, Buffer.alloc(MIB));
  const disk = new DiskClient(await graph.add({ driver: 'file', 'node-name': 'disk', filename }));
  await disk.write(1000, Buffer.alloc(5000, 9), { fua: true });
  disk[Symbol.dispose]();
  await graph.remove('disk');
  assert.ok(readFileSync(filename).subarray(1000, 6000).equals(Buffer.alloc(5000, 9)));
});

test('a sparse image of terabytes is used up to its last byte', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await using graph = newGraph();
  const filename = folder.file('image');
  const length = 5 * 1024 ** 4 + 3;
  writeFileSync(filename, '');
  truncateSync(filename, length);
  const node = await graph.add({ driver: 'file', 'node-name': 'disk', filename });
  assert.equal(node.lengthBytes, length);
  using disk = new DiskClient(node);
  await disk.write(length - 3, Buffer.from('end'));
  assert.equal((await disk.read(length - 3, 3)).toString(), 'end');
  assert.deepEqual((await disk.blockStatus(0, length)).flags, [EXTENT_HOLE | EXTENT_ZERO, 0]);
});

test('an image that was closed behind a large write can be opened again at once: no sync goes on behind its back', async () => {
  await using folder = await TemporaryFolder.create('disk');
  await using graph = newGraph();
  const filename = folder.file('image');
  writeFileSync(filename, Buffer.alloc(32 * MIB));
  const definition = { driver: 'file', 'node-name': 'disk', filename };
  for (let i = 0; i < 3; i++) {
    const disk = new DiskClient(await graph.add(definition));
    assert.equal(await disk.submit('write', 0, 17 * MIB, { buffer: Buffer.alloc(17 * MIB, 1) }), 0);
    disk[Symbol.dispose]();
    await graph.remove('disk');
  }
  await graph.add(definition);
});
