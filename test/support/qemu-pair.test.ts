import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { QemuPair } from './qemu-pair.ts';

test('a QEMU pair starts, reaches a checkpoint, fails over and leaves no process behind', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'colobus-'));
  t.after(() => rm(directory, { recursive: true }));
  const pair = await QemuPair.start({ directory: join(directory, 'qemu'), sizeBytes: 1_049_088, link: 'unix' });
  try {
    assert.ok((await pair.checkpoint()) > 0);
    assert.ok((await pair.failover()) > 0);
  } finally {
    await pair[Symbol.asyncDispose]();
  }
  for (const pid of Object.values(pair.pids)) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
