/** The NBD client against further servers and settings of servers, and against itself through nbdkit. */

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { EINVAL, ENOENT } from '../../src/base/errno.ts';
import { UsageError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { NbdPeer } from '../support/nbd-peer.ts';
import { ServedDisk } from '../support/served-disk.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

async function emptyImage(path: string): Promise<void> {
  const image = await open(path, 'w');
  await image.truncate(16 * MIB);
  await image.close();
}

/** Different bytes in every block. */
function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return bytes;
}

/** Writes in many calls at once, makes durable and reads back, over all connections. */
async function useDisk(client: NbdClient): Promise<void> {
  const data = pattern(4 * MIB);
  const starts = Array.from({ length: 64 }, (_, index) => index * 64 * KIB);
  await Promise.all(starts.map(at => client.write(at, data.subarray(at, at + 64 * KIB))));
  await client.write(8 * MIB, data.subarray(0, MIB), { fua: true });
  await client.writeZeroes(8 * MIB, 512 * KIB);
  await client.flush();
  const read = await Promise.all(starts.map(at => client.read(at, 64 * KIB)));
  assert.ok(Buffer.concat(read).equals(data));
  assert.ok((await client.read(8 * MIB, 512 * KIB)).equals(Buffer.alloc(512 * KIB)));
  assert.ok((await client.read(8 * MIB + 512 * KIB, 512 * KIB)).equals(data.subarray(512 * KIB, MIB)));
  await client.trim(8 * MIB, MIB);
  const extents = await client.blockStatus(0, client.sizeBytes);
  assert.equal(
    extents.reduce((sum, { length }) => sum + length, 0),
    client.sizeBytes,
  );
}

test('all calls work with nbd-server, over several connections, and its exports are listed', async () => {
  const settings = ['flush = true', 'fua = true', 'trim = true'];
  await using peer = await NbdPeer.nbdServer(emptyImage, settings);
  await using client = await NbdClient.connect(peer.uri('disk'), { connections: 4 });
  assert.deepEqual([client.connections, client.features.replies], [4, 'simple']);
  await useDisk(client);
  assert.deepEqual(
    (await NbdClient.list(peer.uri())).map(({ name }) => name),
    ['disk'],
  );
  await assert.rejects(NbdClient.connect(peer.uri('dusk')), { errno: ENOENT });
});

test('an nbd-server without flush, FUA and trim is served with what it has', async () => {
  await using peer = await NbdPeer.nbdServer(emptyImage, ['flush = false', 'fua = false', 'trim = false']);
  await using client = await NbdClient.connect(peer.uri('disk'));
  assert.deepEqual([client.info.canFlush, client.info.canFua, client.info.canTrim], [false, false, false]);
  await useDisk(client);
});

for (const [what, args] of [
  ['without NO_ZEROES, which sends 124 zeroes', ['--mask-handshake=1']],
  ['with NO_ZEROES alone', ['--mask-handshake=2']],
  ['of one thread', ['--threads=1']],
  ['that answers out of order', ['--filter=delay']],
] as const) {
  test(`all calls work with an nbdkit ${what}`, async () => {
    const slow = what.includes('order') ? ['rdelay=2ms', 'wdelay=1ms'] : [];
    await using peer = await NbdPeer.nbdkit(...args, 'memory', '16M', ...slow);
    await using client = await NbdClient.connect(peer.uri(), { connections: 4 });
    await useDisk(client);
  });
}

test('block sizes of nbdkit’s policy are kept to, and what is over the maximum goes in pieces', async () => {
  const policy = ['blocksize-minimum=4096', 'blocksize-preferred=8192', 'blocksize-maximum=65536'];
  const args = ['--filter=blocksize-policy', 'memory', '16M', ...policy, 'blocksize-error-policy=error'];
  await using peer = await NbdPeer.nbdkit(...args);
  await using client = await NbdClient.connect(peer.uri());
  const { minBlockBytes, preferredBlockBytes, maxBlockBytes } = client.info;
  assert.deepEqual([minBlockBytes, preferredBlockBytes, maxBlockBytes], [4096, 8192, 65_536]);
  await useDisk(client);
  const data = pattern(MIB);
  await client.write(4096, data);
  assert.ok((await client.read(4096, MIB)).equals(data));
  for (const [offset, length] of [
    [512, 4096],
    [4096, 512],
  ] as const) {
    await assert.rejects(client.read(offset, length), (error: unknown) => {
      return error instanceof UsageError && error.errno === EINVAL && /multiples of 4096/.test(error.message);
    });
  }
});

test('errors of nbdkit’s filter fail the calls they hit, and the rest is right', async () => {
  const error = ['error-rate=30%', 'error=ENOSPC'];
  await using peer = await NbdPeer.nbdkit('--filter=error', 'memory', '16M', ...error);
  await using client = await NbdClient.connect(peer.uri(), { connections: 4 });
  const data = pattern(MIB);
  const starts = Array.from({ length: 256 }, (_, index) => index * 4096);
  const written = await Promise.allSettled(starts.map(at => client.write(at, data.subarray(at, at + 4096))));
  const failures = written.filter(({ status }) => status === 'rejected').length;
  assert.ok(failures > 20 && failures < 200, `${failures} of 256 failed`);
  const read = await Promise.allSettled(starts.map(at => client.read(at, 4096)));
  for (const [index, outcome] of read.entries()) {
    const at = index * 4096;
    if (outcome.status === 'rejected') assert.equal(outcome.reason.errno, 28);
    else if (written[index]?.status === 'fulfilled') assert.ok(outcome.value.equals(data.subarray(at, at + 4096)));
  }
  assert.equal(client.failure, null);
});

test('the depth of an image and its allocation come from qemu-nbd in one answer', async () => {
  const makeImage = async (path: string): Promise<void> => {
    await emptyImage(path);
    const image = await open(path, 'r+');
    await image.write(pattern(MIB), 0, MIB, 4 * MIB);
    await image.close();
  };
  await using peer = await NbdPeer.qemuNbd(makeImage, '--allocation-depth', '--shared=2');
  const contexts = ['base:allocation', 'qemu:allocation-depth', 'qemu:dirty-bitmap:none'];
  await using client = await NbdClient.connect(peer.uri(), { contexts });
  const told = await client.metadata(0, client.sizeBytes);
  assert.deepEqual([...told.keys()].sort(), ['base:allocation', 'qemu:allocation-depth']);
  const data = told.get('base:allocation')?.filter(({ flags }) => flags === 0);
  assert.deepEqual(data, [{ offset: 4 * MIB, length: MIB, flags: 0 }]);
  const { contexts: all } = await NbdClient.info(peer.uri());
  assert.deepEqual([...all].sort(), ['base:allocation', 'qemu:allocation-depth']);
});

test('a client comes back to an nbdkit that was killed and started anew', async () => {
  await using first = await NbdPeer.nbdkit('memory', '16M');
  const changes: string[] = [];
  await using client = await NbdClient.connect(first.uri(), {
    reconnect: { inFlight: 'replay', onChange: failure => changes.push(failure === null ? 'back' : 'lost') },
  });
  await client.write(0, Buffer.alloc(4096, 1), { fua: true });
  await first.restart('memory', '16M');
  assert.deepEqual(await client.read(0, 4096), Buffer.alloc(4096), 'the memory of the new one is empty');
  assert.deepEqual(changes, ['lost', 'back']);
});

test('nbdkit serves on what it reads from the server, to the client', async () => {
  await using disk = await ServedDisk.open({ lengthBytes: 16 * MIB });
  await using peer = await NbdPeer.nbdkit('nbd', `uri=${disk.server.uri('disk')}`);
  await using client = await NbdClient.connect(peer.uri(), { connections: 4 });
  assert.deepEqual([client.sizeBytes, client.info.maxBlockBytes], [16 * MIB, 32 * MIB]);
  await useDisk(client);
  assert.ok(disk.node.content.subarray(0, 4 * MIB).equals(pattern(4 * MIB)));
});
