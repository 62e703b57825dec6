import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMemoryFileSystem } from './file-system.ts';

test('tmpfs is in memory and other file systems are not', async () => {
  assert.equal(await isMemoryFileSystem('/dev/shm'), true);
  assert.equal(await isMemoryFileSystem('/proc'), false);
});
