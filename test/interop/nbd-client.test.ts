/** The NBD client against nbdkit and qemu-nbd. */

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { EIO, ENOSPC, ENOTSUP, EPERM, ESHUTDOWN } from '../../src/base/errno.ts';
import { ColobusError } from '../../src/base/errors.ts';
import { NbdClient, type NbdClientOptions } from '../../src/nbd/client/index.ts';
import { NbdPeer } from '../support/nbd-peer.ts';

const MIB = 1024 * 1024;

const unix = (peer: NbdPeer, options: Partial<NbdClientOptions> = {}): NbdClientOptions => ({
  address: { kind: 'unix', path: peer.socket },
  ...options,
});

/** Different bytes at every place, so that misplaced data shows. */
function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761 + seed) >>> 0, at);
  return bytes;
}

for (const [what, args, structured] of [
  ['nbdkit', [], true],
  ['nbdkit --no-sr', ['--no-sr'], false],
  ['nbdkit --mask-handshake=0, which knows EXPORT_NAME only', ['--mask-handshake=0'], false],
] as const) {
  test(`all calls work with ${what}`, async () => {
    await using peer = await NbdPeer.nbdkit(...args, 'memory', '16M');
    await using client = await NbdClient.connect(peer.uri());
    assert.equal(client.sizeBytes, 16 * MIB);
    const data = pattern(100_000, 1);
    await client.write(4097, data, { fua: true });
    await client.flush();
    assert.deepEqual(await client.read(4097, data.length), data);
    await client.writeZeroes(5000, 1000);
    assert.deepEqual(await client.read(5000, 1000), Buffer.alloc(1000));
    await client.trim(8 * MIB, MIB);
    await client.cache(0, MIB);
    const extents = await client.blockStatus(0, client.sizeBytes);
    assert.equal(extents.at(-1)?.hole, structured, 'extents are known exactly where structured replies are');
    assert.equal(
      extents.reduce((sum, { length }) => sum + length, 0),
      client.sizeBytes,
    );
  });
}

// nbdkit 1.32 offers flushes and FUA to an oldstyle client and then refuses them, so this does without.
test('a server of the oldstyle handshake, which negotiates nothing, is read and written', async () => {
  await using peer = await NbdPeer.nbdkit('--oldstyle', 'memory', '16M');
  await using client = await NbdClient.connect(peer.uri());
  assert.deepEqual([client.features.protocol, client.sizeBytes], ['oldstyle', 16 * MIB]);
  const data = pattern(100_000, 1);
  await client.write(4097, data);
  assert.deepEqual(await client.read(4097, data.length), data);
  await assert.rejects(NbdClient.connect(peer.uri('disk')), /oldstyle NBD, which has no names/);
});

test('all calls work with qemu-nbd, which sends holes and extents', async () => {
  const makeImage = async (path: string): Promise<void> => {
    const image = await open(path, 'w');
    await image.truncate(64 * MIB);
    await image.write(pattern(MIB, 2), 0, MIB, 8 * MIB);
    await image.close();
  };
  await using peer = await NbdPeer.qemuNbd(makeImage, '--export-name', 'disk', '--shared', '4');
  await using client = await NbdClient.connect(peer.uri('disk'));
  assert.equal(client.info.canMultiConn, true);
  const whole = await client.read(7 * MIB, 3 * MIB);
  assert.deepEqual(whole, Buffer.concat([Buffer.alloc(MIB), pattern(MIB, 2), Buffer.alloc(MIB)]));
  const middle = (await client.blockStatus(0, 64 * MIB)).find(extent => !extent.zero);
  assert.deepEqual(middle, { offset: 8 * MIB, length: MIB, hole: false, zero: false });
  await client.writeZeroes(8 * MIB, MIB, { fastOnly: true, mayUnmap: true });
  assert.deepEqual(await client.read(8 * MIB, MIB), Buffer.alloc(MIB));
  assert.deepEqual(await NbdClient.list(peer.uri()), [{ name: 'disk', description: '' }]);
});

test('a call longer than the server takes at once goes in pieces', async () => {
  const makeImage = async (path: string): Promise<void> => {
    const image = await open(path, 'w');
    await image.truncate(80 * MIB);
    await image.close();
  };
  await using peer = await NbdPeer.qemuNbd(makeImage);
  await using client = await NbdClient.connect(peer.uri());
  assert.equal(client.info.maxBlockBytes, 32 * MIB);
  const data = pattern(70 * MIB, 3);
  await client.write(MIB, data);
  assert.ok((await client.read(MIB, data.length)).equals(data));
});

test('an export that is not there is an error that names it', async () => {
  await using peer = await NbdPeer.qemuNbd(async path => (await open(path, 'w')).close(), '--export-name', 'disk');
  await assert.rejects(NbdClient.connect(peer.uri('dusk')), /no export 'dusk'/);
});

test('a server that is not there is an error that says so', async () => {
  const address = { kind: 'unix', path: '/nonexistent/socket' } as const;
  await assert.rejects(NbdClient.connect({ address }), /no such socket/);
});

test('a write to a read-only export fails with EPERM', async () => {
  await using peer = await NbdPeer.nbdkit('--readonly', 'memory', '1M');
  await using client = await NbdClient.connect(peer.uri());
  assert.equal(client.info.readOnly, true);
  await assert.rejects(client.write(0, Buffer.alloc(512)), { errno: EPERM });
  assert.deepEqual(await client.read(0, 512), Buffer.alloc(512));
});

test('an error of the server fails its call and no other', async () => {
  await using peer = await NbdPeer.nbdkit(
    '--filter=error',
    'memory',
    '1M',
    'error-pwrite=ENOSPC',
    'error-pwrite-rate=1',
  );
  await using client = await NbdClient.connect(peer.uri());
  const [written, read] = await Promise.allSettled([client.write(0, Buffer.alloc(512)), client.read(0, 512)]);
  assert.equal(written.status === 'rejected' && written.reason.errno, ENOSPC);
  assert.equal(read.status, 'fulfilled');
});

test('a read error in a structured reply fails the read', async () => {
  await using peer = await NbdPeer.nbdkit('--filter=error', 'memory', '1M', 'error-pread=EIO', 'error-pread-rate=1');
  await using client = await NbdClient.connect(peer.uri());
  await assert.rejects(client.read(0, 4096), { errno: EIO });
});

test('a server without write-zeroes, trim, cache and FUA is served with what it has', async () => {
  const filters = ['--filter=nozero', '--filter=nocache', '--filter=fua', '--filter=log'];
  await using peer = await NbdPeer.nbdkit(...filters, 'memory', '4M', 'zeromode=none', 'logfile=/dev/null');
  await using client = await NbdClient.connect(peer.uri());
  assert.equal(client.info.canWriteZeroes || client.info.canFua, false);
  await client.write(0, pattern(2 * MIB, 4), { fua: true });
  await client.writeZeroes(1000, MIB, { fua: true });
  assert.deepEqual(await client.read(1000, MIB), Buffer.alloc(MIB));
  assert.deepEqual(await client.read(0, 1000), pattern(2 * MIB, 4).subarray(0, 1000));
  await assert.rejects(client.writeZeroes(0, 512, { fastOnly: true }), { errno: ENOTSUP });
});

test('more calls than fit into the pipeline all complete, with their own data', async () => {
  await using peer = await NbdPeer.nbdkit('--filter=delay', 'memory', '16M', 'rdelay=5ms', 'wdelay=5ms');
  await using client = await NbdClient.connect(peer.uri());
  const blocks = Array.from({ length: 1000 }, (_, index) => pattern(4096, index));
  await Promise.all(blocks.map((block, index) => client.write(index * 4096, block)));
  const read = await Promise.all(blocks.map((_, index) => client.read(index * 4096, 4096)));
  assert.ok(read.every((bytes, index) => bytes.equals(blocks[index] as Buffer)));
});

test('large reads and writes both ways at once do not block each other', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '128M');
  await using client = await NbdClient.connect(peer.uri());
  const blocks = Array.from({ length: 64 }, (_, index) => pattern(MIB, index));
  await Promise.all(blocks.map((block, index) => client.write(index * MIB, block)));
  const again = blocks.map((block, index) => client.write((64 + index) * MIB, block));
  const read = await Promise.all(blocks.map((_, index) => client.read(index * MIB, MIB)));
  await Promise.all(again);
  assert.ok(read.every((bytes, index) => bytes.equals(blocks[index] as Buffer)));
});

test('a frozen server fails calls by their deadline, and later ones at once', { timeout: 30_000 }, async () => {
  await using peer = await NbdPeer.nbdkit('memory', '1M');
  await using client = await NbdClient.connect(unix(peer, { requestTimeoutMs: 300, flushTimeoutMs: 10_000 }));
  await client.write(0, Buffer.alloc(512));
  await peer.freeze();
  const startMs = performance.now();
  const [flush, write] = await Promise.allSettled([client.flush(), client.write(0, Buffer.alloc(512))]);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 290 && tookMs < 2000, `took ${tookMs} ms`);
  assert.match(String(write.status === 'rejected' && write.reason), /ETIMEDOUT/);
  assert.match(String(flush.status === 'rejected' && flush.reason), /ECONNRESET/);
  await assert.rejects(client.read(0, 512), { errno: ESHUTDOWN });
});

test('a client that was held up itself does not blame the server', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '1M');
  await using client = await NbdClient.connect(unix(peer, { requestTimeoutMs: 200 }));
  const write = client.write(0, Buffer.alloc(512));
  await new Promise(resolve => setImmediate(resolve));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
  await write;
});

test('a killed server fails the calls in flight promptly', async () => {
  await using peer = await NbdPeer.nbdkit('--filter=delay', 'memory', '1M', 'delay-write=60');
  await using client = await NbdClient.connect(peer.uri());
  const write = client.write(0, Buffer.alloc(512));
  const read = client.read(0, 512);
  await read;
  peer.kill();
  await assert.rejects(write, error => error instanceof ColobusError && /ECONNRESET/.test(error.message));
});
