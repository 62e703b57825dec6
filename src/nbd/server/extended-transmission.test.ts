/**
 * The server with extended headers, against bytes put together by hand from the specification (NBD proto.md, branch
 * extension-ext-header): `hex` spells the messages field by field.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  counted,
  infoRequest,
  OPT,
  option,
  type RawNbdClient,
  REP,
  u32,
} from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';

const hex = (...fields: readonly string[]): Buffer => Buffer.from(fields.join('').replaceAll(' ', ''), 'hex');
/** Magic, reply flag DONE, type, cookie 7, offset of the request, length of the payload. */
const done = (type: string, offset: string, length: string): string =>
  `6e8a278c 0001 ${type} 0000000000000007 ${offset} ${length}`;
/** Magic, flags, command, cookie 7, offset, length. */
const command = (flags: string, type: string, offset: string, length: string): string =>
  `21e41c71 ${flags} ${type} 0000000000000007 ${offset} ${length}`;
const ZERO = '0000000000000000';

async function attach(disk: ServedDisk, ...contexts: readonly string[]): Promise<RawNbdClient> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  await client.haggle(OPT.EXTENDED_HEADERS);
  if (contexts.length > 0) {
    await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(contexts.length), ...contexts.map(counted));
  }
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk', 3))).at(-1)?.type, REP.ACK);
  return client;
}

async function expectReply(client: RawNbdClient, ...fields: readonly string[]): Promise<void> {
  const wanted = hex(...fields);
  assert.equal((await client.read(wanted.length)).toString('hex'), wanted.toString('hex'));
}

/** Reads the one error chunk of a reply; gives its errno. */
async function readError(client: RawNbdClient, offset: string): Promise<number> {
  const header = await client.read(32);
  const length = header.readUInt32BE(28);
  assert.equal(
    header.subarray(0, 24).toString('hex'),
    hex('6e8a278c 0001 8001 0000000000000007', offset).toString('hex'),
  );
  const payload = await client.read(length);
  assert.equal(payload.readUInt16BE(4), length - 6);
  return payload.readUInt32BE(0);
}

test('a write, a read and a flush are answered with chunks that repeat cookie and offset', async () => {
  await using disk = await ServedDisk.open();
  const client = await attach(disk);
  client.send(hex(command('0020', '0001', '0000000000001000', '0000000000000004'), 'cafebabe'));
  await expectReply(client, done('0000', '0000000000001000', ZERO));
  assert.equal(disk.node.content.toString('hex', 4096, 4100), 'cafebabe');
  client.send(hex(command('0000', '0000', '0000000000001000', '0000000000000002')));
  await expectReply(client, done('0001', '0000000000001000', '000000000000000a'), '0000000000001000', 'cafe');
  client.send(hex(command('0000', '0003', 'ffffffffffffffff', ZERO)));
  await expectReply(client, done('0000', 'ffffffffffffffff', ZERO));
});

test('an error is a chunk with the offset of the request, even one beyond any export', async () => {
  await using disk = await ServedDisk.open();
  const client = await attach(disk);
  for (const [type, flags, errno] of [
    ['0000', '0000', 22],
    ['0004', '0000', 22],
    ['0006', '0000', 28],
    ['0005', '0000', 22],
    ['0007', '0000', 22],
    ['0063', '0000', 22],
  ] as const) {
    client.send(hex(command(flags, type, 'fedcba9876543210', '0000000000000200')));
    assert.equal(await readError(client, 'fedcba9876543210'), errno, `command ${type}`);
    client.send(hex(command(flags, type, ZERO, 'ffffffffffffffff')));
    assert.equal(await readError(client, ZERO), errno, `command ${type}`);
  }
});

test('effects longer than 32 bits are one request', async () => {
  await using disk = await ServedDisk.open({ reportedBytes: 2 ** 43 });
  const client = await attach(disk);
  for (const type of ['0004', '0005', '0006']) {
    client.send(hex(command('0000', type, '0000000000001000', '0000020000000000')));
    await expectReply(client, done('0000', '0000000000001000', ZERO));
  }
  assert.deepEqual(
    disk.node.log.map(([, offset, length]) => [offset, length]),
    Array.from({ length: 3 }, () => [4096, 2 ** 41]),
  );
});

test('block status has extents of 64 bits', async () => {
  await using disk = await ServedDisk.open({ reportedBytes: 2 ** 43 });
  const client = await attach(disk, 'base:allocation');
  client.send(hex(command('0000', '0007', '0000000001000000', '0000020000000000')));
  await expectReply(
    client,
    ...[done('0006', '0000000001000000', '0000000000000018'), '00000001 00000001'],
    ...['0000020000000000', '0000000000000003'],
  );
});

test('a payload says which contexts a block status is about', async () => {
  await using disk = await ServedDisk.open({ allocationDepth: true });
  const client = await attach(disk, 'base:allocation', 'qemu:allocation-depth');
  // The length of the effect, then the ids; the header has the length of that.
  client.send(hex(command('0020', '0007', ZERO, '000000000000000c'), '0000000000000400', '00000002'));
  await expectReply(
    client,
    ...[done('0006', ZERO, '0000000000000018'), '00000002 00000001'],
    ...['0000000000000400', '0000000000000001'],
  );
  for (const payload of [
    '0000000000000400 00000003',
    '0000000000000400 00000001 00000001',
    '0000000000000400 00000001 0000',
    '0000000000000400',
    '0000000000200000 00000001',
    '0000000000000400 00000001 00000002 00000003',
  ]) {
    const bytes = hex(payload).length.toString(16).padStart(16, '0');
    client.send(hex(command('0020', '0007', ZERO, bytes), payload));
    assert.equal(await readError(client, ZERO), 22, payload);
  }
  client.send(hex(command('0000', '0007', ZERO, '0000000000000400')));
  const both = await client.read(2 * (32 + 24));
  assert.deepEqual([both.readUInt16BE(4), both.readUInt16BE(56 + 4)], [0, 1]);
});

test('the payload of a status query is offered with extended headers and selected contexts only', async () => {
  await using disk = await ServedDisk.open();
  const flagsOf = async (style: number, ...contexts: readonly string[]): Promise<number> => {
    const client = await disk.connect();
    await client.read(18);
    client.send(u32(3));
    await client.haggle(style);
    await client.haggle(OPT.SET_META_CONTEXT, counted('disk'), u32(contexts.length), ...contexts.map(counted));
    return (await client.haggle(OPT.INFO, infoRequest('disk')))[0]?.data.readUInt16BE(10) ?? 0;
  };
  assert.equal((await flagsOf(OPT.EXTENDED_HEADERS, 'base:allocation')) & 0x1080, 0x1080);
  assert.equal((await flagsOf(OPT.EXTENDED_HEADERS)) & 0x1080, 0x80);
  assert.equal((await flagsOf(OPT.STRUCTURED_REPLY, 'base:allocation')) & 0x1080, 0x80);
});

test('a payload that no command takes is read and dropped, and the connection goes on', async () => {
  await using disk = await ServedDisk.open();
  const client = await attach(disk, 'base:allocation');
  for (const type of ['0000', '0003', '0004', '0005', '0006', '0063']) {
    client.send(hex(command('0020', type, ZERO, '0000000000000020'), '21e41c71'.repeat(8)));
    assert.equal(await readError(client, ZERO), 22, `command ${type}`);
  }
  client.send(hex(command('0020', '0001', '0000000000100000', '0000000000000004'), 'cafebabe'));
  assert.equal(await readError(client, '0000000000100000'), 28);
  assert.deepEqual(disk.node.log, []);
});

test('a write that does not say that it has a payload has none', async () => {
  await using disk = await ServedDisk.open();
  const client = await attach(disk);
  client.send(hex(command('0000', '0001', ZERO, '0000000000001000')));
  assert.equal(await readError(client, ZERO), 22);
  client.send(hex(command('0000', '0003', ZERO, ZERO)));
  await expectReply(client, done('0000', ZERO, ZERO));
});

for (const [what, message] of [
  ['a payload above what is drained', hex(command('0020', '0001', ZERO, '0000000004000001'))],
  ['a payload above 2^53', hex(command('0020', '0063', ZERO, 'ffffffffffffffff'))],
  ['a compact request', Buffer.concat([hex('25609513 0000 0003'), Buffer.alloc(24)])],
] as const) {
  test(`with extended headers, ${what} ends the connection, and others are served`, async () => {
    await using disk = await ServedDisk.open();
    const client = await attach(disk);
    client.send(message);
    assert.equal((await client.readToEnd()).length, 0);
    await attach(disk);
  });
}

test('extended headers take the place of structured replies, once and without data', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  const answers: (number | undefined)[] = [];
  for (const [number, data] of [
    [OPT.EXTENDED_HEADERS, Buffer.alloc(1)],
    [OPT.STRUCTURED_REPLY, Buffer.alloc(0)],
    [OPT.EXTENDED_HEADERS, Buffer.alloc(0)],
    [OPT.EXTENDED_HEADERS, Buffer.alloc(0)],
    [OPT.STRUCTURED_REPLY, Buffer.alloc(0)],
    [OPT.LIST_META_CONTEXT, Buffer.concat([counted('disk'), u32(0)])],
  ] as const) {
    answers.push((await client.haggle(number, data)).at(-1)?.type);
  }
  assert.deepEqual(answers, [REP.ERR_INVALID, REP.ACK, REP.ACK, REP.ERR_INVALID, REP.ERR_EXT_HEADER_REQD, REP.ACK]);
  client.send(option(OPT.EXPORT_NAME, Buffer.from('disk')));
  assert.equal((await client.readToEnd()).length, 0);
});

test('requests that arrive byte by byte are each done once', async () => {
  await using disk = await ServedDisk.open();
  const client = await attach(disk);
  const wire = hex(
    command('0020', '0001', ZERO, '0000000000000004'),
    ...['cafebabe', command('0000', '0000', ZERO, '0000000000000004')],
  );
  for (const byte of wire)
    await new Promise<void>(resolve => client.socket.write(Buffer.from([byte]), () => resolve()));
  await expectReply(client, done('0000', ZERO, ZERO), done('0001', ZERO, '000000000000000c'), ZERO, 'cafebabe');
});

test('with compact headers no command takes the payload flag', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  client.send(hex('25609513 0020 0003 0000000000000007 0000000000000000 00000000'));
  assert.equal((await client.simpleReply()).error, 22);
});
