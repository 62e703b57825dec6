import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileSystemKind } from './file-system.ts';

test('tmpfs is in memory, and a file system that is not known is elsewhere', async () => {
  assert.equal(await fileSystemKind('/dev/shm'), 'memory');
  assert.equal(await fileSystemKind('/proc'), 'elsewhere');
});
