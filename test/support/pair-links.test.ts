import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ColobusPair } from './colobus-pair.ts';
import { Relay } from './relay.ts';
import { TemporaryFolder } from './temporary-folder.ts';
import { TlsFiles } from './tls-files.ts';

const DISK_BYTES = 1024 * 1024;
const BLOCK = Buffer.alloc(4096, 'x');

test('a pair replicates over TCP, with and without TLS', async () => {
  await using tls = await TlsFiles.create();
  for (const further of [{}, { tlsDirectory: tls.directory }]) {
    await using folder = await TemporaryFolder.create('memory');
    const directory = folder.path;
    await using pair = await ColobusPair.start({ directory, sizeBytes: DISK_BYTES, link: 'tcp', ...further });
    await using guest = await NbdClient.connect(pair.disks[0].rootUri);
    await guest.write(0, BLOCK);
    await pair.checkpoint();
    const [report] = await pair.secondaryReports();
    assert.equal(report?.writes, 1);
    assert.match(pair.disks[0].viewUri, 'tlsDirectory' in further ? /^nbds:/ : /^nbd:/);
  }
});

test('a relay with a delay keeps what it forwards back for that long, in order', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('relay');
  await using _relay = await Relay.listen(path, folder.file('secondary.nbd'), { delayMs: 20 });
  const linkOptions = { server: { type: 'unix', path } };
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: DISK_BYTES, linkOptions });
  await using guest = await NbdClient.connect(pair.disks[0].rootUri);
  const startMs = performance.now();
  await guest.write(0, BLOCK);
  assert.ok(performance.now() - startMs >= 20);
  await Promise.all([1, 2, 3, 4].map(block => guest.write(block * BLOCK.length, BLOCK)));
  await pair.checkpoint();
});
