import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { ENOTSUP, ENXIO } from '../base/errno.ts';
import { changeAllocation, changeAllocationInPool } from './allocation.ts';
import { seekSparse, seekSparseInPool } from './sparse-extents.ts';
import { PoolShare } from './thread-pool.ts';

const EBADF = 9;
const MIB = 1024 * 1024;

for (const place of ['disk', 'memory'] as const) {
  test(`a punched hole reads as zeroes, gives its space back and is found again (${place})`, async () => {
    await using folder = await TemporaryFolder.create(place);
    writeFileSync(folder.file('image'), Buffer.alloc(3 * MIB, 1));
    const fd = openSync(folder.file('image'), 'r+');
    const blocksBefore = fstatSync(fd).blocks;
    assert.equal(changeAllocation(fd, 'punch-hole', MIB, MIB), 0);
    assert.ok(fstatSync(fd).blocks < blocksBefore);
    assert.ok(
      readFileSync(fd)
        .subarray(MIB, 2 * MIB)
        .equals(Buffer.alloc(MIB)),
    );
    assert.deepEqual(seekSparse(fd, 'hole', 0), { position: MIB, errno: 0 });
    assert.deepEqual(seekSparse(fd, 'data', MIB), { position: 2 * MIB, errno: 0 });
    assert.deepEqual(seekSparse(fd, 'hole', 2 * MIB), { position: 3 * MIB, errno: 0 });
    closeSync(fd);
  });
}

test('allocating reserves space for a hole and keeps the length', async () => {
  await using folder = await TemporaryFolder.create('memory');
  writeFileSync(folder.file('image'), Buffer.alloc(4096));
  const fd = openSync(folder.file('image'), 'r+');
  assert.equal(changeAllocation(fd, 'punch-hole', 0, 4096), 0);
  assert.equal(fstatSync(fd).blocks, 0);
  assert.equal(changeAllocation(fd, 'allocate', 0, 8192), 0);
  assert.equal(fstatSync(fd).size, 4096);
  assert.equal(fstatSync(fd).blocks, 16);
  closeSync(fd);
});

test('what the file system cannot do is ENOTSUP', async () => {
  await using folder = await TemporaryFolder.create('memory');
  writeFileSync(folder.file('image'), Buffer.alloc(4096));
  const fd = openSync(folder.file('image'), 'r+');
  assert.equal(changeAllocation(fd, 'zero-range', 0, 4096), ENOTSUP);
  closeSync(fd);
});

test('no more data up to the end is ENXIO', async () => {
  await using folder = await TemporaryFolder.create('memory');
  writeFileSync(folder.file('image'), Buffer.alloc(4096));
  const fd = openSync(folder.file('image'), 'r');
  assert.deepEqual(seekSparse(fd, 'data', 4096), { position: -1, errno: ENXIO });
  closeSync(fd);
});

test('in the pool, every one of many failing calls gets its own errno', async () => {
  const share = new PoolShare();
  const calls = Array.from({ length: 500 }, (_, i) =>
    i % 2 === 0
      ? new Promise<number>(resolve => changeAllocationInPool(share, -1, 'punch-hole', 0, 1, resolve))
      : new Promise<number>(resolve => seekSparseInPool(share, -1, 'data', 0, (_position, errno) => resolve(errno))),
  );
  assert.ok((await Promise.all(calls)).every(errno => errno === EBADF));
});
