import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { readNow, writeNow } from './file-io.ts';

const EBADF = 9;

test('what is written at an offset is read back to the place that was named, and nowhere else', async () => {
  await using folder = await TemporaryFolder.create();
  await using file = await open(folder.file('image'), 'w+');
  const offset = 2 ** 33 + 512;
  const written = Buffer.from('--abcdef--');
  assert.equal(writeNow(file.fd, written, 2, 6, offset), 6);
  const target = Buffer.alloc(10, '.');
  assert.equal(readNow(file.fd, target, 3, 6, offset), 6);
  assert.equal(target.toString(), '...abcdef.');
});

test('a read over the end of the file tells how much there was', async () => {
  await using folder = await TemporaryFolder.create();
  await using file = await open(folder.file('image'), 'w+');
  writeNow(file.fd, Buffer.alloc(100, 1), 0, 100, 0);
  assert.equal(readNow(file.fd, Buffer.alloc(200), 0, 200, 40), 60);
  assert.equal(readNow(file.fd, Buffer.alloc(200), 0, 200, 100), 0);
});

test('what the kernel refuses is told by its errno', async () => {
  assert.equal(readNow(-1, Buffer.alloc(8), 0, 8, 0), -EBADF);
  assert.equal(writeNow(-1, Buffer.alloc(8), 0, 8, 0), -EBADF);
});
