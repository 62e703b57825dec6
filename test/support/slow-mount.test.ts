import assert from 'node:assert/strict';
import { open, readdir, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { SlowMount } from './slow-mount.ts';
import { TemporaryFolder } from './temporary-folder.ts';

const DELAY_MS = 30;

test('a slow mount shows an image, takes its time over it, and leaves nothing mounted', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await writeFile(folder.file('image'), Buffer.alloc(65_536, 'x'));
  const directory = folder.file('mount');
  {
    await using mount = await SlowMount.start({ directory, image: folder.file('image'), delayMs: DELAY_MS });
    await using file = await open(mount.path, 'r+');
    const startMs = performance.now();
    await file.write(Buffer.alloc(4096, 'y'), 0, 4096, 0);
    assert.ok(performance.now() - startMs >= DELAY_MS);
  }
  assert.deepEqual(await readdir(directory), []);
});
