/** Foreign programs through the whole graph of two daemons: what they write, verify, copy and compare. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ColobusPair } from '../support/colobus-pair.ts';
import { Program } from '../support/program.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
/** From one checkpoint to the next. */
const CHECKPOINT_PAUSE_MS = 100;
const FIO_MS = 60_000;
/** Keeps fio busy through more than 20 checkpoints, however fast the machine. */
const FIO_IOPS = 24_000;

/** What it printed; fails with its messages unless it ended well. */
async function output(file: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  await using program = Program.start(file, args, options);
  const { exitCode, stdout, stderr } = await program.ended();
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

async function assertIdentical(image: string, uri: string): Promise<void> {
  assert.match(await output('qemu-img', ['compare', '-U', '-f', 'raw', '-F', 'raw', image, uri]), /identical/);
}

test('fio verifies 256 MiB at depth 32 while checkpoints are taken, and then the view is the disk', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: 256 * MIB });
  const [disk] = pair.disks;
  await using fio = Program.start(
    'fio',
    [
      ...['--name=verify', '--ioengine=nbd', `--uri=${disk.rootUri}`, '--rw=randwrite', '--bs=4k', '--size=256M'],
      ...['--iodepth=32', '--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--randseed=1'],
      `--rate_iops=${FIO_IOPS}`,
    ],
    { cwd: folder.path },
  );
  const ended = fio.ended(FIO_MS);
  const checkpoints = await pair.checkpointUntil(ended, CHECKPOINT_PAUSE_MS);
  const { exitCode, stdout, stderr } = await ended;
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
  assert.match(stdout, /err= 0/);
  assert.ok(checkpoints >= 20, `Only ${checkpoints} checkpoints were taken`);
  await pair.checkpoint();
  await assertIdentical(disk.primaryImage, disk.viewUri);
  await assertIdentical(disk.secondaryImage, disk.rootUri);
});

test('qemu-io writes, zeroes and discards the disk, and reads the checkpoint on the other side', async () => {
  await using folder = await TemporaryFolder.create('disk');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: 8 * MIB });
  const [{ rootUri, viewUri, primaryImage, secondaryImage }] = pair.disks;
  const qemuIo = (uri: string, ...commands: readonly string[]): Promise<string> =>
    output('qemu-io', ['-f', 'raw', ...commands.flatMap(command => ['-c', command]), uri]);
  await qemuIo(rootUri, 'write -P 17 0 8M', 'flush');
  await qemuIo(viewUri, 'read -P 0 0 8M');
  await pair.checkpoint();
  await qemuIo(
    rootUri,
    'write -z 1M 64k',
    'discard 2M 1M',
    'aio_write -P 18 4000k 33k',
    'aio_flush',
    'write -f -P 19 0 512',
  );
  await qemuIo(viewUri, 'read -P 17 0 8M', 'write -P 20 7M 4k', 'read -P 20 7M 4k');
  await pair.checkpoint();
  await qemuIo(viewUri, 'read -P 19 0 512', 'read -P 17 512 512', 'read -P 0 1M 64k', 'read -P 0 2M 1M');
  await qemuIo(viewUri, 'read -P 18 4000k 33k', 'read -P 17 7M 4k');
  await assertIdentical(primaryImage, viewUri);
  await assertIdentical(secondaryImage, rootUri);
});

test('nbdcopy fills the disk, and copies the view out while the disk is overwritten', async () => {
  await using folder = await TemporaryFolder.create('disk');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: 16 * MIB });
  const [{ rootUri, viewUri, primaryImage }] = pair.disks;
  const random = new SeededRandom(7);
  const [first, second] = [random.bytes(16 * MIB), random.bytes(16 * MIB)];
  await writeFile(folder.file('first'), first);
  await writeFile(folder.file('second'), second);
  await output('nbdcopy', ['--flush', folder.file('first'), rootUri]);
  await pair.checkpoint();
  await Promise.all([
    output('nbdcopy', [folder.file('second'), rootUri]),
    output('nbdcopy', [viewUri, folder.file('backup')]),
  ]);
  assert.ok((await readFile(folder.file('backup'))).equals(first));
  assert.ok((await readFile(primaryImage)).equals(second));
});

test('nbdinfo describes every export of the graph', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: MIB + 1000, disks: 2 });
  for (const { rootUri, viewUri } of pair.disks) {
    for (const uri of [rootUri, viewUri]) {
      const info = JSON.parse(await output('nbdinfo', ['--json', uri]));
      assert.equal(info.exports[0]['export-size'], MIB + 1000);
      assert.equal(info.exports[0].is_read_only, false);
      assert.equal(info.exports[0].can_multi_conn, true);
    }
  }
  const listed = JSON.parse(await output('nbdinfo', ['--list', '--json', pair.disks[0].viewUri]));
  const names = listed.exports.map((one: { 'export-name': string }) => one['export-name']);
  assert.deepEqual(names.sort(), ['replica0', 'replica1', 'view0', 'view1']);
  const map = JSON.parse(await output('nbdinfo', ['--map', '--json', pair.disks[0].viewUri]));
  assert.deepEqual(map, [{ offset: 0, length: MIB + 1000, type: 3, description: 'hole,zero' }]);
});
