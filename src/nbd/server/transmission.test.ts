import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CMD, type RawRequest, request, u32 } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { EINVAL, EIO, ENOSPC, EPERM } from '../../base/errno.ts';
import type { ReceiveMode } from './accepted-socket.ts';
import { MAX_BYTES_IN_FLIGHT, MAX_REQUESTS, MAX_UNSENT_BYTES } from './limits.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const FUA = 1;
const NO_HOLE = 2;
const REQ_ONE = 8;
const DONE = 1;

for (const receiveMode of ['in-place', 'copy'] satisfies ReceiveMode[]) {
  test(`what is written is read back, for sizes from one byte to 32 MiB (${receiveMode})`, async () => {
    await using disk = await ServedDisk.open({ lengthBytes: 33 * MIB, server: { receiveMode } });
    const client = await disk.attach();
    for (const [cookie, length] of [1, 511, 4096, 64 * KIB, 256 * KIB, MIB, 5 * MIB, 32 * MIB].entries()) {
      const payload = Buffer.alloc(length, `${length} bytes `);
      const offset = 33 * MIB - length;
      client.send(request({ type: CMD.WRITE, cookie, offset, payload }));
      assert.deepEqual(await client.simpleReply(), { error: 0, cookie });
      assert.ok(disk.node.content.subarray(offset).equals(payload), `${length} bytes`);
      client.send(request({ type: CMD.READ, cookie: cookie + 100, offset, length }));
      assert.deepEqual(await client.simpleReply(), { error: 0, cookie: cookie + 100 });
      assert.ok((await client.read(length)).equals(payload), `${length} bytes`);
    }
  });

  test(`requests that arrive in pieces of any size are each done once (${receiveMode})`, async () => {
    await using disk = await ServedDisk.open({ server: { receiveMode } });
    const client = await disk.attach();
    const requests = Array.from({ length: 40 }, (_, cookie) =>
      request({ type: CMD.WRITE, cookie, offset: cookie * 4096, payload: Buffer.alloc(100 + cookie * 90, cookie + 1) }),
    );
    const wire = Buffer.concat(requests);
    for (let at = 0, size = 1; at < wire.length; at += size, size = (size * 3) % 5003) {
      const piece = wire.subarray(at, at + size);
      await new Promise<void>(resolve => client.socket.write(piece, () => resolve()));
    }
    for (let cookie = 0; cookie < 40; cookie++) assert.deepEqual(await client.simpleReply(), { error: 0, cookie });
    assert.deepEqual(
      disk.node.log,
      requests.map((_, cookie) => ['write', cookie * 4096, 100 + cookie * 90]),
    );
    for (let cookie = 0; cookie < 40; cookie++) {
      const written = disk.node.content.subarray(cookie * 4096, cookie * 4096 + 100 + cookie * 90);
      assert.ok(written.every(byte => byte === cookie + 1));
    }
  });

  test(`a client that asks for more than it takes is held back, and gets everything (${receiveMode})`, async () => {
    await using disk = await ServedDisk.open({ lengthBytes: 8 * MIB, server: { receiveMode } });
    const client = await disk.attach();
    disk.node.content.fill('colobus');
    client.socket.pause();
    for (let cookie = 0; cookie < 20; cookie++) {
      client.send(request({ type: CMD.READ, cookie, length: 8 * MIB }));
    }
    // The first reply is more than may lie unsent; the second read waits until the client takes what it asked for.
    assert.ok(8 * MIB > MAX_UNSENT_BYTES);
    await disk.node.reached(1);
    await disk.attach();
    assert.equal(disk.node.log.length, 1);
    client.socket.resume();
    for (let cookie = 0; cookie < 20; cookie++) {
      assert.deepEqual(await client.simpleReply(), { error: 0, cookie });
      assert.ok((await client.read(8 * MIB)).equals(disk.node.content));
    }
    assert.equal(disk.node.log.length, 20);
  });
}

test('requests beyond the limit in flight wait, and are done when others complete', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  const total = MAX_REQUESTS + 100;
  for (let cookie = 0; cookie < total; cookie++) {
    client.send(request({ type: CMD.WRITE, cookie, offset: cookie * 512, payload: Buffer.alloc(512, 1) }));
  }
  await disk.node.reached(MAX_REQUESTS);
  assert.equal(disk.node.held.length, MAX_REQUESTS);
  disk.node.letGo();
  const cookies = new Set<number>();
  for (let i = 0; i < total; i++) cookies.add((await client.simpleReply()).cookie);
  assert.equal(cookies.size, total);
  assert.ok(disk.node.content.subarray(0, total * 512).every(byte => byte === 1));
});

test('payload beyond the limit in flight waits, and is written when there is room', async () => {
  await using disk = await ServedDisk.open({ lengthBytes: 32 * MIB });
  const client = await disk.attach();
  disk.node.holding = true;
  const fitting = MAX_BYTES_IN_FLIGHT / (4 * MIB);
  for (let cookie = 0; cookie < fitting + 2; cookie++) {
    client.send(request({ type: CMD.WRITE, cookie, offset: cookie * 4 * MIB, payload: Buffer.alloc(4 * MIB, 1) }));
  }
  await disk.node.reached(fitting);
  await disk.attach();
  assert.equal(disk.node.log.length, fitting);
  disk.node.letGo();
  for (let i = 0; i < fitting + 2; i++) assert.equal((await client.simpleReply()).error, 0);
});

test('replies leave in the order of completion', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.READ, cookie: 1, length: 512 }), request({ type: CMD.FLUSH, cookie: 2 }));
  await disk.node.reached(2);
  disk.node.held.reverse();
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 2 });
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
});

test('each command becomes the one request it stands for', async () => {
  await using disk = await ServedDisk.open({ limits: { fastZeroes: true } });
  const client = await disk.attach({ structured: true, contexts: ['base:allocation'] });
  disk.node.holding = true;
  const range = { offset: 4096, length: 8192 };
  client.send(
    request({ type: CMD.WRITE, offset: 4096, payload: Buffer.alloc(8192, 1), flags: FUA }),
    request({ type: CMD.WRITE_ZEROES, ...range, flags: FUA | NO_HOLE }),
    request({ type: CMD.WRITE_ZEROES, ...range, flags: 16 }),
    request({ type: CMD.TRIM, ...range }),
    request({ type: CMD.CACHE, ...range }),
    request({ type: CMD.READ, ...range }),
    request({ type: CMD.BLOCK_STATUS, ...range }),
    request({ type: CMD.FLUSH }),
  );
  await disk.node.reached(8);
  assert.deepEqual(
    disk.node.held.map(({ kind, offset, length, fua, mayUnmap, fastOnly }) => [
      kind,
      offset,
      length,
      [fua && 'fua', mayUnmap && 'unmap', fastOnly && 'fast'].filter(Boolean).join(),
    ]),
    [
      ['write', 4096, 8192, 'fua'],
      ['write-zeroes', 4096, 8192, 'fua'],
      ['write-zeroes', 4096, 8192, 'unmap,fast'],
      ['discard', 4096, 8192, ''],
      ['cache', 4096, 8192, ''],
      ['read', 4096, 8192, ''],
      ['block-status', 4096, 8192, ''],
      ['flush', 0, 0, ''],
    ],
  );
});

test('a trim with FUA is answered when a flush after it has succeeded', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.TRIM, cookie: 3, length: 4096, flags: FUA }));
  await disk.node.reached(1);
  disk.node.completeHeld();
  assert.equal(disk.node.held[0]?.kind, 'flush');
  disk.node.errno = EIO;
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: EIO, cookie: 3 });
});

const zeroLength: readonly RawRequest[] = [CMD.READ, CMD.WRITE, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES].map(type => ({
  type,
  length: 0,
}));

test('requests of length 0 succeed without reaching the node', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const [cookie, fields] of zeroLength.entries()) {
    client.send(request({ ...fields, cookie }), request({ ...fields, cookie, offset: MIB }));
    for (let i = 0; i < 2; i++) assert.deepEqual(await client.simpleReply(), { error: 0, cookie });
  }
  assert.deepEqual(disk.node.log, []);
});

test('structured replies to requests of length 0 have no payload', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach({ structured: true, contexts: ['base:allocation'] });
  for (const type of [CMD.READ, CMD.BLOCK_STATUS]) {
    client.send(request({ type, cookie: 5, length: 0 }));
    assert.deepEqual(await client.chunk(), { flags: DONE, type: 0, cookie: 5, payload: Buffer.alloc(0) });
  }
});

const refusals: readonly [string, RawRequest, number][] = [
  ['a read past the end', { type: CMD.READ, offset: MIB - 1, length: 2 }, EINVAL],
  ['a read whose range wraps around 2^64', { type: CMD.READ, offset: 2n ** 64n - 512n, length: 1024 }, EINVAL],
  ['a write past the end', { type: CMD.WRITE, offset: MIB - 1, payload: Buffer.alloc(70_000) }, ENOSPC],
  ['zeroes past the end', { type: CMD.WRITE_ZEROES, offset: 1, length: MIB }, ENOSPC],
  ['a trim past the end', { type: CMD.TRIM, offset: 1, length: MIB }, EINVAL],
  ['an unknown command', { type: 99, length: 512 }, EINVAL],
  ['an unknown flag on a write', { type: CMD.WRITE, flags: 0x8000, payload: Buffer.alloc(512) }, EINVAL],
  ['a block status without a context', { type: CMD.BLOCK_STATUS, length: 512 }, EINVAL],
  ['a write of more than 32 MiB', { type: CMD.WRITE, payload: Buffer.alloc(32 * MIB + 1) }, EINVAL],
];

test('a refused request gets its error, its payload is dropped, and the connection goes on', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const [cookie, [what, fields, error]] of refusals.entries()) {
    client.send(request({ ...fields, cookie }), request({ type: CMD.FLUSH, cookie: 1000 }));
    assert.deepEqual(await client.simpleReply(), { error, cookie }, what);
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1000 }, what);
  }
  assert.ok(disk.node.log.every(([kind]) => kind === 'flush'));
});

test('with structured replies an error says why', async () => {
  await using disk = await ServedDisk.open({ writable: false });
  const client = await disk.attach({ structured: true });
  client.send(request({ type: CMD.WRITE, cookie: 4, payload: Buffer.alloc(512) }));
  const { flags, type, cookie, payload } = await client.chunk();
  assert.deepEqual([flags, type, cookie, payload.readUInt32BE(0)], [DONE, 0x8001, 4, EPERM]);
  assert.equal(payload.subarray(6).toString(), 'The export is read-only');
});

test('an error of the node is the error of the reply, and no data come with it', async () => {
  await using disk = await ServedDisk.open();
  const plain = await disk.attach();
  const structured = await disk.attach({ structured: true });
  disk.node.errno = EIO;
  plain.send(request({ type: CMD.READ, cookie: 6, length: 4096 }), request({ type: CMD.FLUSH, cookie: 7 }));
  assert.deepEqual(await plain.simpleReply(), { error: EIO, cookie: 6 });
  assert.deepEqual(await plain.simpleReply(), { error: EIO, cookie: 7 });
  structured.send(request({ type: CMD.READ, cookie: 8, length: 4096 }));
  const { type, payload } = await structured.chunk();
  assert.deepEqual([type, payload.readUInt32BE(0)], [0x8001, EIO]);
});

test('a structured read is one chunk with its offset and data', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach({ structured: true });
  disk.node.content.fill('x', 512, 1024);
  client.send(request({ type: CMD.READ, cookie: 0x1_0000_0002, offset: 512, length: 512 }));
  const { flags, type, cookie, payload } = await client.chunk();
  assert.deepEqual([flags, type, cookie, payload.length], [DONE, 1, 0x1_0000_0002, 520]);
  assert.equal(payload.readBigUInt64BE(0), 512n);
  assert.equal(payload.subarray(8).toString(), 'x'.repeat(512));
});

test('block status describes the range asked for, or its first extent where only one is wanted', async () => {
  await using disk = await ServedDisk.open();
  disk.node.content.fill(1, 1024, 2048);
  const client = await disk.attach({ structured: true, contexts: ['base:allocation'] });
  const range = { type: CMD.BLOCK_STATUS, offset: 512, length: 4096 };
  client.send(request(range));
  const extents = [1, 512, 3, 1024, 0, 2560, 3].map(u32);
  assert.deepEqual((await client.chunk()).payload, Buffer.concat(extents));
  client.send(request({ ...range, flags: REQ_ONE }));
  assert.deepEqual((await client.chunk()).payload, Buffer.concat(extents.slice(0, 3)));
});

test('a write whose payload never arrives as a whole changes nothing', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  client.send(
    request({ type: CMD.FLUSH }),
    request({ type: CMD.WRITE, payload: Buffer.alloc(8192, 1) }).subarray(0, -1),
  );
  await client.simpleReply();
  client.socket.end();
  await client.readToEnd();
  assert.deepEqual(disk.node.log, [['flush', 0, 0]]);
});

test('after DISC what is in flight is done and answered, what follows is ignored', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(
    request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }),
    request({ type: CMD.DISC }),
    request({ type: CMD.WRITE, cookie: 2, payload: Buffer.alloc(512, 2) }),
  );
  await disk.node.reached(1);
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  assert.equal((await client.readToEnd()).length, 0);
  assert.equal(disk.node.log.length, 1);
});

test('a client that only ends its side still gets its replies', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.READ, cookie: 1, length: 512 }));
  client.socket.end();
  await disk.node.reached(1);
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  assert.equal((await client.read(512)).length, 512);
});

const disconnections: readonly [string, Buffer][] = [
  ['a request without the magic', Buffer.alloc(28)],
  ['a write of more than 64 MiB', request({ type: CMD.WRITE, length: 64 * MIB + 1 })],
  ['a write of 2^32 - 1 bytes', request({ type: CMD.WRITE, length: 0xffff_ffff })],
];
for (const [what, wire] of disconnections) {
  test(`${what} ends the connection, and others are served`, async () => {
    await using disk = await ServedDisk.open();
    const client = await disk.attach();
    client.send(wire);
    await client.readToEnd();
    const other = await disk.attach();
    other.send(request({ type: CMD.FLUSH, cookie: 1 }));
    assert.deepEqual(await other.simpleReply(), { error: 0, cookie: 1 });
  });
}

test('a client that is gone when its requests complete harms nobody', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  // With a reply that nobody read, the kernel resets the connection when the client goes.
  client.socket.pause();
  client.send(request({ type: CMD.FLUSH }));
  await disk.node.reached(1);
  disk.node.holding = true;
  for (const type of [CMD.READ, CMD.TRIM, CMD.FLUSH]) client.send(request({ type, length: 512, flags: FUA }));
  client.send(request({ type: CMD.WRITE, payload: Buffer.alloc(4096, 7) }));
  await disk.node.reached(5);
  client.socket.destroy();
  while (disk.server.connections > 0) await new Promise(resolve => setImmediate(resolve));
  disk.node.letGo();
  assert.equal(disk.nbdExport.backend.inFlight, 0);
  assert.ok(disk.node.content.subarray(0, 4096).every(byte => byte === 7));
  await disk.attach();
});

test('the backend counts the changes since the last connection began to write', async () => {
  await using disk = await ServedDisk.open();
  const write = request({ type: CMD.WRITE, payload: Buffer.alloc(512) });
  const first = await disk.attach();
  first.send(write, request({ type: CMD.TRIM, length: 512 }), request({ type: CMD.WRITE_ZEROES, length: 512 }));
  for (let i = 0; i < 3; i++) await first.simpleReply();
  assert.equal(disk.nbdExport.backend.changes, 3);
  const second = await disk.attach();
  second.send(request({ type: CMD.FLUSH }));
  await second.simpleReply();
  assert.equal(disk.nbdExport.backend.changes, 3);
  second.send(write);
  await second.simpleReply();
  assert.equal(disk.nbdExport.backend.changes, 1);
});

test('a writethrough export makes every write durable, and asks no more of the node', async () => {
  await using disk = await ServedDisk.open({ writethrough: true });
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(
    request({ type: CMD.WRITE, payload: Buffer.alloc(512) }),
    request({ type: CMD.WRITE_ZEROES, length: 512 }),
    request({ type: CMD.TRIM, length: 512 }),
    request({ type: CMD.READ, length: 512 }),
  );
  await disk.node.reached(4);
  assert.deepEqual(
    disk.node.held.map(({ kind, fua }) => [kind, fua]),
    [
      ['write', true],
      ['write-zeroes', true],
      ['discard', false],
      ['read', false],
    ],
  );
});
