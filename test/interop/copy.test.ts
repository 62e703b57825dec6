/** Copies between files and real servers, whatever those can do, and what becomes of them where a server fails. */

import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, test } from 'node:test';
import { UsageError } from '../../src/base/errors.ts';
import { CopyFailure, copyBetween } from '../../src/cli/copy/copy.ts';
import { placesOf } from '../../src/cli/copy/end.ts';
import { NbdPeer } from '../support/nbd-peer.ts';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
/** Not a multiple of anything but 512. */
const SIZE = 12 * MIB + 512;

let folder: TemporaryFolder;
let disk: string;
beforeEach(async () => {
  folder = await TemporaryFolder.create('memory');
  disk = folder.file('disk.img');
  const image = await open(disk, 'w');
  await image.truncate(SIZE);
  await image.write(randomFillSync(Buffer.alloc(2 * MIB)), 0, 2 * MIB, 3 * MIB + 100);
  await image.close();
});
afterEach(() => folder[Symbol.asyncDispose]());

async function copy(from: string, to: string, verify = false, timeoutSeconds = 30): Promise<void> {
  await copyBetween(...placesOf([from, to], {}), {
    connections: 4,
    requests: 8,
    requestBytes: 256 * 1024,
    timeoutSeconds,
    forceShare: false,
    verify,
    note: text => assert.fail(text),
    onBegin: () => {},
    onProgress: () => {},
  });
}

async function expectCopy(path: string): Promise<void> {
  assert.ok((await readFile(path)).equals(await readFile(disk)), path);
}

async function blocks(path: string): Promise<number> {
  return (await stat(path)).blocks;
}

async function fullImage(path: string): Promise<void> {
  await writeFile(path, Buffer.alloc(SIZE, 0xee));
}

for (const [what, start, exportName] of [
  ['nbdkit', () => NbdPeer.nbdkit('memory', String(SIZE)), ''],
  ['nbdkit without extents and zeroes', () => NbdPeer.nbdkit('--no-sr', '--filter=nozero', 'memory', String(SIZE)), ''],
  ['qemu-nbd with something else on the disk', () => NbdPeer.qemuNbd(fullImage), ''],
  ['nbd-server with something else on the disk', () => NbdPeer.nbdServer(fullImage, []), 'disk'],
] as const) {
  test(`an image goes up to ${what} and comes down as sparse as it was`, async () => {
    await using server = await start();
    const [down, theirs] = [folder.file('down.img'), folder.file('theirs.img')];
    await copy(disk, server.uri(exportName), true);
    await copy(server.uri(exportName), down, true);
    await expectCopy(down);
    // Zeroes that a server does not tell of are found by grains of 64 KiB.
    assert.ok((await blocks(down)) <= (await blocks(disk)) + (2 * 64 * 1024) / 512);
    await using nbdcopy = Program.start('nbdcopy', [server.uri(exportName), theirs]);
    const { exitCode, stderr } = await nbdcopy.ended();
    assert.equal(exitCode, 0, stderr);
    await expectCopy(theirs);
  });
}

test('an image goes from server to server', async () => {
  await using nbdkit = await NbdPeer.nbdkit('memory', String(SIZE));
  await using qemu = await NbdPeer.qemuNbd(fullImage);
  await copy(disk, nbdkit.uri());
  await copy(nbdkit.uri(), qemu.uri(), true);
  const compared = ['compare', '-f', 'raw', '-F', 'raw', disk, qemu.uri()];
  await using compare = Program.start('qemu-img', compared);
  assert.equal((await compare.ended()).stdout, 'Images are identical.\n');
});

test('the block sizes of a server are kept to, and a source that does not fit them is refused', async () => {
  const sizes = ['blocksize-minimum=4096', 'blocksize-maximum=64K', 'blocksize-error-policy=error'];
  await truncate(disk, 12 * MIB);
  await using target = await NbdPeer.nbdkit('--filter=blocksize-policy', 'memory', '12M', ...sizes);
  await copy(disk, target.uri(), true);
  await truncate(disk, 8 * MIB + 512);
  await assert.rejects(copy(disk, target.uri()), (error: unknown) => {
    return error instanceof UsageError && /not whole blocks of the 4096 bytes/.test(error.message);
  });
});

const NO_ROOM = ['error-pwrite=ENOSPC', 'error-pwrite-rate=1'];
const NO_READ = ['error-pread=EIO', 'error-pread-rate=1'];
/** Takes all and cannot keep it. */
const NO_FLUSH = [
  ...[`get_size=echo ${SIZE}`, 'pread=head -c $3 /dev/zero', 'can_write=exit 0', 'pwrite=cat >/dev/null'],
  ...['can_zero=exit 0', 'zero=exit 0', 'can_flush=exit 0', 'flush=echo EIO lost >&2; exit 1'],
];

for (const [what, args, isTarget, says] of [
  [
    'a target without room',
    ['--filter=error', 'memory', String(SIZE), ...NO_ROOM],
    true,
    /^Cannot write bytes \d+ \+ \d+ of target 'nbd\+unix:[^']+': ENOSPC; the target is incomplete: make room for it/,
  ],
  [
    'a source that cannot be read',
    ['--filter=error', 'pattern', String(SIZE), ...NO_READ],
    false,
    /^Cannot read bytes \d+ \+ \d+ of source 'nbd\+unix:[^']+': EIO; the target is incomplete: check the source/,
  ],
  [
    'a target that does not keep what it took',
    ['eval', ...NO_FLUSH],
    true,
    /^Flushing target 'nbd\+unix:[^']+' failed: EIO; the target is incomplete: check the target/,
  ],
  [
    'a target that does not answer in time',
    ['--filter=delay', 'memory', String(SIZE), 'wdelay=600'],
    true,
    /did not answer a request in time.*; the target is incomplete: check the target/,
  ],
] as const) {
  test(`${what} fails the copy`, async () => {
    await using peer = await NbdPeer.nbdkit(...args);
    const [from, to] = isTarget ? [disk, peer.uri()] : [peer.uri(), folder.file('copy.img')];
    const timeoutSeconds = what.endsWith('in time') ? 1 : 30;
    await assert.rejects(copy(from, to, false, timeoutSeconds), (error: unknown) => {
      assert.ok(error instanceof CopyFailure, String(error));
      assert.match(error.message, says);
      return true;
    });
  });
}
