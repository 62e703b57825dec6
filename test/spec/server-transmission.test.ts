/** The server's duties in the transmission phase with simple replies (NBD proto.md); a title names the rules it shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EDQUOT, EFBIG, EIO, ENOSPC, ENOTSUP, EOVERFLOW, EROFS } from '../../src/base/errno.ts';
import { CMD, type RawNbdClient, type RawRequest, request } from '../support/raw-nbd-client.ts';
import { ServedDisk } from '../support/served-disk.ts';

const MIB = 1024 * 1024;
const FUA = 1;
const NO_HOLE = 2;
const FAST_ZERO = 16;
const EINVAL = 22;

/** Sends a command and gives the error of its simple reply, with the data of a READ read along. */
async function ask(client: RawNbdClient, fields: RawRequest): Promise<number> {
  client.send(request({ cookie: 77, ...fields }));
  const { error, cookie } = await client.simpleReply();
  assert.equal(cookie, 77);
  if (error === 0 && fields.type === CMD.READ) await client.read(fields.length ?? 0);
  return error;
}

test('without structured replies everything is answered simply [transmission.1] [simple-reply.1] [structured-reply.1] [read.1] [read.4]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const type of [CMD.READ, CMD.WRITE, CMD.FLUSH, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES]) {
    const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
    assert.equal(await ask(client, { type, length: type === CMD.FLUSH ? 0 : 512, payload }), 0);
  }
  assert.equal(await ask(client, { type: CMD.READ, offset: MIB, length: 1 }), EINVAL);
  assert.equal(await ask(client, { type: CMD.BLOCK_STATUS, length: 512 }), EINVAL);
});

test('the 64 bits of a cookie come back as they were [transmission.3]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const cookie of ['0000000000000000', 'ffffffffffffffff', '8000000000000001', '0020000000000001']) {
    const command = request({ type: CMD.FLUSH });
    command.write(cookie, 8, 'hex');
    client.send(command);
    assert.equal((await client.read(16)).toString('hex', 8), cookie);
  }
});

test('commands of no length succeed and disturb nobody [read.3] [write.3] [trim.2] [write-zeroes.2]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const type of [CMD.READ, CMD.WRITE, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES]) {
    assert.equal(await ask(client, { type, offset: MIB }), 0);
  }
  assert.deepEqual(disk.node.log, []);
});

test('a read error is told, without data [read.5] [read.6]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.errno = EIO;
  assert.equal(await ask(client, { type: CMD.READ, length: 512 }), 5);
  disk.node.errno = 0;
  assert.equal(await ask(client, { type: CMD.READ, length: 512 }), 0);
});

test('an error of the disk is told for every command [write.5] [cache.1] [write-zeroes.14]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.errno = EIO;
  for (const type of [CMD.WRITE, CMD.FLUSH, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES]) {
    const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
    assert.equal(await ask(client, { type, length: type === CMD.FLUSH ? 0 : 512, payload }), 5);
  }
});

test('a write is answered when the disk has it [write.4] [write-zeroes.3]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 7) }));
  client.send(request({ type: CMD.WRITE_ZEROES, cookie: 2, offset: 4096, length: 512 }));
  client.send(request({ type: CMD.WRITE, cookie: 3, offset: MIB }));
  await disk.node.reached(2);
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 3 }, 'the write of nothing overtakes');
  disk.node.letGo();
  const cookies = [(await client.simpleReply()).cookie, (await client.simpleReply()).cookie];
  assert.deepEqual(cookies.sort(), [1, 2]);
});

test('a flush is answered when the disk has flushed, and covers what was answered on any connection [ordering.1] [flush.1] [transmission-flags.8]', async () => {
  await using disk = await ServedDisk.open();
  const writer = await disk.attach();
  const flusher = await disk.attach();
  assert.equal(await ask(writer, { type: CMD.WRITE, payload: Buffer.alloc(512, 1) }), 0);
  disk.node.holding = true;
  flusher.send(request({ type: CMD.FLUSH, cookie: 1 }), request({ type: CMD.READ, cookie: 2 }));
  await disk.node.reached(2);
  assert.deepEqual(disk.node.log, [
    ['write', 0, 512],
    ['flush', 0, 0],
  ]);
  assert.deepEqual(await flusher.simpleReply(), { error: 0, cookie: 2 }, 'the flush is not answered yet');
  disk.node.letGo();
  assert.deepEqual(await flusher.simpleReply(), { error: 0, cookie: 1 });
});

test('FUA is accepted on every command and reaches the disk with what writes [ordering.3] [command-flags.2] [command-flags.4]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  const durable: boolean[] = [];
  const { node } = disk;
  node.holding = true;
  for (const [index, type] of [CMD.WRITE, CMD.WRITE_ZEROES].entries()) {
    const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
    client.send(request({ type, cookie: index, flags: FUA, offset: 4096 * index, length: 512, payload }));
    await node.reached(index + 1);
    durable.push(node.held[index]?.fua ?? false);
  }
  assert.deepEqual(durable, [true, true]);
  node.letGo();
  await client.simpleReply();
  await client.simpleReply();
  assert.equal(await ask(client, { type: CMD.TRIM, flags: FUA, length: 512 }), 0);
  assert.deepEqual(node.log.at(-1), ['flush', 0, 0], 'a trim with FUA is followed by a flush');
  for (const type of [CMD.READ, CMD.FLUSH, CMD.CACHE]) {
    assert.equal(await ask(client, { type, flags: FUA, length: type === CMD.FLUSH ? 0 : 512 }), 0);
  }
});

test('a read-only export fails what would write with EPERM [transmission-flags.4] [errors.4] [write-zeroes.16]', async () => {
  await using disk = await ServedDisk.open({ writable: false });
  const client = await disk.attach();
  for (const type of [CMD.WRITE, CMD.TRIM, CMD.WRITE_ZEROES]) {
    const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
    assert.equal(await ask(client, { type, length: 512, payload }), 1);
  }
  assert.equal(await ask(client, { type: CMD.READ, length: 512 }), 0);
  assert.deepEqual(disk.node.log, [['read', 0, 512]]);
});

test('past the end: ENOSPC for what writes, EINVAL for the rest [errors.1] [errors.3] [write-zeroes.15]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const [offset, length] of [
    [MIB - 512, 1024],
    [MIB, 1],
    [MIB + 512, 512],
    [2n ** 64n - 512n, 1024],
    [2n ** 63n, 1],
    [2n ** 53n, 512],
  ] as const) {
    assert.equal(await ask(client, { type: CMD.WRITE, offset, payload: Buffer.alloc(length) }), 28);
    assert.equal(await ask(client, { type: CMD.WRITE_ZEROES, offset, length }), 28);
    for (const type of [CMD.READ, CMD.TRIM, CMD.CACHE])
      assert.equal(await ask(client, { type, offset, length }), EINVAL);
  }
  assert.deepEqual(disk.node.log, []);
});

test('what is unaligned fails with EINVAL [block-size.22]', async () => {
  await using disk = await ServedDisk.open({ limits: { requestAlignment: 512 } });
  const client = await disk.connect();
  await client.read(18);
  client.send(Buffer.from('00000003', 'hex'));
  client.send(Buffer.concat([Buffer.from('IHAVEOPT'), Buffer.from('0000000100000004', 'hex'), Buffer.from('disk')]));
  await client.read(10);
  for (const [offset, length] of [
    [1, 512],
    [512, 511],
  ] as const) {
    for (const type of [CMD.READ, CMD.WRITE, CMD.TRIM, CMD.WRITE_ZEROES]) {
      const payload = Buffer.alloc(type === CMD.WRITE ? length : 0);
      assert.equal(await ask(client, { type, offset, length, payload }), EINVAL);
    }
  }
  assert.deepEqual(disk.node.log, []);
});

test('the largest payload is served, and longer commands without payload [block-size.23] [block-size.24]', async () => {
  await using disk = await ServedDisk.open({ lengthBytes: 64 * MIB });
  const client = await disk.attach();
  assert.equal(await ask(client, { type: CMD.WRITE, payload: Buffer.alloc(32 * MIB, 3) }), 0);
  assert.equal(await ask(client, { type: CMD.READ, length: 32 * MIB }), 0);
  for (const type of [CMD.TRIM, CMD.WRITE_ZEROES, CMD.CACHE]) {
    assert.equal(await ask(client, { type, length: 64 * MIB }), 0);
  }
  assert.equal(await ask(client, { type: CMD.READ, length: 32 * MIB + 1 }), EINVAL);
});

for (const [errno, told] of [
  [EDQUOT, 28],
  [EFBIG, 28],
  [ENOSPC, 28],
  [EROFS, 1],
  [EOVERFLOW, 5],
  [ENOTSUP, 5],
] as const) {
  test(`an error ${errno} of the disk is told as ${told} [errors.2] [errors.5] [errors.6] [write-zeroes.8]`, async () => {
    await using disk = await ServedDisk.open({ limits: { fastZeroes: true } });
    const client = await disk.attach();
    disk.node.errno = errno;
    for (const type of [CMD.READ, CMD.WRITE, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES]) {
      const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
      assert.equal(await ask(client, { type, length: 512, payload }), told, `command ${type}`);
    }
  });
}

test('unknown commands, unknown flags and flags of other commands fail with EINVAL [errors.7] [errors.8] [errors.9] [cache.3]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const type of [8, 9, 99, 0xffff]) assert.equal(await ask(client, { type, length: 512 }), EINVAL);
  for (const type of [CMD.READ, CMD.WRITE, CMD.FLUSH, CMD.TRIM, CMD.CACHE, CMD.WRITE_ZEROES]) {
    for (const flags of [2, 4, 8, 0x20, 0x40, 0x8000, 0xffff]) {
      if (type === CMD.WRITE_ZEROES && flags === NO_HOLE) continue;
      const payload = Buffer.alloc(type === CMD.WRITE ? 512 : 0);
      assert.equal(await ask(client, { type, flags, length: 512, payload }), EINVAL, `command ${type} flags ${flags}`);
    }
  }
  assert.deepEqual(disk.node.log, []);
});

test('zeroes read as zeroes, and NO_HOLE reaches the disk [command-flags.6] [write-zeroes.6] [write-zeroes.7]', async () => {
  await using disk = await ServedDisk.open();
  disk.node.content.fill(0xaa);
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE_ZEROES, cookie: 1, offset: 512, length: 1024 }));
  client.send(request({ type: CMD.WRITE_ZEROES, cookie: 2, offset: 8192, length: 512, flags: NO_HOLE }));
  await disk.node.reached(2);
  assert.deepEqual(
    disk.node.held.map(({ mayUnmap }) => mayUnmap),
    [true, false],
  );
  disk.node.letGo();
  await client.simpleReply();
  await client.simpleReply();
  client.send(request({ type: CMD.READ, cookie: 3, offset: 0, length: 2048 }));
  await client.simpleReply();
  const expected = Buffer.alloc(2048, 0xaa).fill(0, 512, 1536);
  assert.deepEqual(await client.read(2048), expected);
});

test('FAST_ZERO that is slow fails at once with ENOTSUP and changes nothing [command-flags.10] [write-zeroes.9] [write-zeroes.10] [write-zeroes.13]', async () => {
  await using disk = await ServedDisk.open({ limits: { fastZeroes: true } });
  disk.node.content.fill(0xaa);
  disk.node.errno = ENOTSUP;
  const client = await disk.attach();
  assert.equal(await ask(client, { type: CMD.WRITE_ZEROES, flags: FAST_ZERO, length: 512 }), 95);
  assert.ok(disk.node.content.every(byte => byte === 0xaa));
  disk.node.errno = 0;
  assert.equal(await ask(client, { type: CMD.WRITE_ZEROES, flags: FAST_ZERO, length: 512 }), 0);
});

test('FAST_ZERO that was not advertised fails with EINVAL [write-zeroes.11] [write-zeroes.12]', async () => {
  await using disk = await ServedDisk.open({ limits: { fastZeroes: false } });
  const client = await disk.attach();
  assert.equal(await ask(client, { type: CMD.WRITE_ZEROES, flags: FAST_ZERO, length: 512 }), EINVAL);
  assert.deepEqual(disk.node.log, []);
});

test('CACHE changes nothing, failed or not [cache.2]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.content.fill(0x11, 0, 512);
  assert.equal(await ask(client, { type: CMD.CACHE, length: 512 }), 0);
  disk.node.errno = EIO;
  assert.equal(await ask(client, { type: CMD.CACHE, length: 512 }), 5);
  disk.node.errno = 0;
  assert.equal(await ask(client, { type: CMD.READ, length: 512 }), 0);
  assert.ok(disk.node.content.subarray(0, 512).every(byte => byte === 0x11));
});

test('DISC: what is in flight is completed and answered, then the connection ends [transmission-end.1] [disc.1] [transmission-end.7]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 9) }));
  client.send(request({ type: CMD.READ, cookie: 2, offset: 4096, length: 512 }), request({ type: CMD.DISC }));
  await disk.node.reached(2);
  disk.node.letGo();
  const answered = await client.readToEnd();
  assert.equal(answered.length, 16 + 16 + 512);
  assert.equal(disk.node.content[0], 9);
});

test('a server that stops lets requests in flight end, and refuses later ones with ESHUTDOWN [transmission-end.3] [transmission-end.4]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 9) }));
  await disk.node.reached(1);
  const stopped = disk.server[Symbol.asyncDispose]();
  // A read of nothing is answered at once: with success until the server has begun to stop.
  while ((await ask(client, { type: CMD.READ })) === 0);
  client.send(request({ type: CMD.READ, cookie: 2, length: 512 }));
  assert.deepEqual(await client.simpleReply(), { error: 108, cookie: 2 });
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  await stopped;
  assert.equal((await client.readToEnd()).length, 0);
});
