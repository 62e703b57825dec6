import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { modulesInOrder } from './kernel-modules.ts';

/** As much of a module as is read: the strings of its section .modinfo. */
function moduleWith(depends: string): string {
  return `\x7fELF\0license=GPL\0depends=${depends}\0retpoline=Y\0`;
}

async function kernel(modules: Readonly<Record<string, string>>): Promise<TemporaryFolder> {
  const folder = await TemporaryFolder.create('memory');
  for (const [path, depends] of Object.entries(modules)) {
    await mkdir(dirname(folder.file(path)), { recursive: true });
    await writeFile(folder.file(path), moduleWith(depends), 'latin1');
  }
  return folder;
}

test('a module comes once, after all it depends on, however its name is written', async () => {
  await using folder = await kernel({
    'drivers/virtio-blk.ko': 'virtio,virtio_ring',
    'drivers/virtio_pci.ko': 'virtio_ring,virtio',
    'virtio/virtio.ko': '',
    'virtio/virtio-ring.ko': 'virtio',
    'fs/fuse.ko': '',
  });
  const ordered = modulesInOrder(folder.path, ['virtio_blk', 'virtio_pci']);
  assert.deepEqual(
    ordered.map(path => basename(path)),
    ['virtio.ko', 'virtio-ring.ko', 'virtio-blk.ko', 'virtio_pci.ko'],
  );
});

test('a module that the kernel does not have is named', async () => {
  await using folder = await kernel({ 'drivers/virtio-blk.ko': 'virtio' });
  assert.throws(() => modulesInOrder(folder.path, ['virtio_blk']), /has no module 'virtio'/);
});
