import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QemuPair } from './qemu-pair.ts';
import { TemporaryFolder } from './temporary-folder.ts';

test('a QEMU pair starts, reaches a checkpoint, fails over and leaves no process behind', async () => {
  await using folder = await TemporaryFolder.create();
  const pair = await QemuPair.start({ directory: folder.file('qemu'), sizeBytes: 1_049_088, link: 'unix' });
  try {
    assert.ok((await pair.checkpoint()) > 0);
    assert.ok((await pair.failover()) > 0);
  } finally {
    await pair[Symbol.asyncDispose]();
  }
  for (const pid of Object.values(pair.pids)) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
