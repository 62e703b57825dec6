import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import {
  counted,
  infoRequest,
  OPT,
  option,
  RawNbdClient,
  REP,
  u16,
  u32,
} from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { HANDSHAKE_TIMEOUT_MS } from './limits.ts';

const MIB_HEX = '0000000000100000';
const READ_ONLY_FLAGS = 0x50f;
const WRITABLE_FLAGS = 0x56d;

/** A client that has sent its handshake flags. */
async function haggler(disk: ServedDisk): Promise<RawNbdClient> {
  const client = await disk.connect();
  assert.equal((await client.read(18)).toString('hex'), '4e42444d4147494349484156454f50540003');
  client.send(u32(3));
  return client;
}

test('GO gives size, flags, name, description and block size as asked for', async () => {
  await using disk = await ServedDisk.open({ description: 'A disk' });
  const client = await haggler(disk);
  const replies = await client.haggle(OPT.GO, infoRequest('disk', 1, 2, 3));
  assert.deepEqual(
    replies.map(({ type, data }) => [type, data.toString('hex')]),
    [
      [REP.INFO, `0000${MIB_HEX}${WRITABLE_FLAGS.toString(16).padStart(4, '0')}`],
      [REP.INFO, `0001${Buffer.from('disk').toString('hex')}`],
      [REP.INFO, `0002${Buffer.from('A disk').toString('hex')}`],
      [REP.INFO, '0003000000010000100002000000'],
      [REP.ACK, ''],
    ],
  );
});

test('a read-only export says so and offers nothing that writes', async () => {
  await using disk = await ServedDisk.open({ writable: false });
  const [reply] = await (await haggler(disk)).haggle(OPT.INFO, infoRequest('disk'));
  assert.equal(reply?.data.readUInt16BE(10), READ_ONLY_FLAGS);
});

test('FAST_ZERO and DF are advertised where the node and the negotiation have them', async () => {
  await using disk = await ServedDisk.open({ limits: { fastZeroes: true } });
  const client = await haggler(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  const [reply] = await client.haggle(OPT.INFO, infoRequest('disk'));
  assert.equal(reply?.data.readUInt16BE(10), WRITABLE_FLAGS | 0x80 | 0x800);
});

test('a client that does not ask for the block size is told to where the node needs alignment', async () => {
  await using disk = await ServedDisk.open({ limits: { requestAlignment: 512 } });
  const client = await haggler(disk);
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk'))).at(-1)?.type, REP.ERR_BLOCK_SIZE_REQD);
  const replies = await client.haggle(OPT.GO, infoRequest('disk', 3));
  assert.equal(replies.at(-2)?.data.toString('hex'), '0003000002000000100002000000');
  assert.equal(replies.at(-1)?.type, REP.ACK);
});

for (const [flags, bytes] of [
  [3, 10],
  [1, 134],
  [2, 10],
  [0, 134],
] as const) {
  test(`EXPORT_NAME after client flags ${flags} is answered with ${bytes} bytes`, async () => {
    await using disk = await ServedDisk.open();
    const client = await disk.connect();
    await client.read(18);
    client.send(u32(flags), option(OPT.EXPORT_NAME, Buffer.from('disk')));
    const answer = await client.read(bytes);
    assert.equal(answer.subarray(0, 10).toString('hex'), `${MIB_HEX}056d`);
    assert.ok(answer.subarray(10).every(byte => byte === 0));
    client.send(Buffer.from('2560951300000003000000000000000900000000000000000000000000', 'hex').subarray(0, 28));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 9 });
  });
}

test('LIST names the exports that can be used now', async () => {
  await using disk = await ServedDisk.open({ description: 'A disk' });
  const client = await haggler(disk);
  const listed = Buffer.concat([counted('disk'), Buffer.from('A disk')]).toString('hex');
  const replies = await client.haggle(OPT.LIST);
  assert.deepEqual(
    replies.map(({ type, data }) => [type, data.toString('hex')]),
    [
      [REP.SERVER, listed],
      [REP.ACK, ''],
    ],
  );
  await disk.nbdExport.close({ mode: 'safe', deadlineMs: 1000 });
  assert.deepEqual(
    (await client.haggle(OPT.LIST)).map(({ type }) => type),
    [REP.ACK],
  );
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk'))).at(-1)?.type, REP.ERR_UNKNOWN);
});

const refusals: readonly [string, number, Buffer, number][] = [
  ['LIST with data', OPT.LIST, u16(0), REP.ERR_INVALID],
  ['STARTTLS', OPT.STARTTLS, Buffer.alloc(0), REP.ERR_POLICY],
  ['STARTTLS with data', OPT.STARTTLS, u16(0), REP.ERR_INVALID],
  ['STRUCTURED_REPLY with data', OPT.STRUCTURED_REPLY, u16(0), REP.ERR_INVALID],
  ['an unknown option', 77, Buffer.from('x'), REP.ERR_UNSUP],
  ['GO of an unknown export', OPT.GO, infoRequest('other'), REP.ERR_UNKNOWN],
  ['GO without data', OPT.GO, Buffer.alloc(0), REP.ERR_INVALID],
  ['GO with a name length of 2^32 - 1', OPT.GO, Buffer.from('ffffffff0000', 'hex'), REP.ERR_INVALID],
  ['GO with a name of 4097 bytes', OPT.GO, infoRequest('n'.repeat(4097)), REP.ERR_INVALID],
  ['GO with a name of 4096 bytes', OPT.GO, infoRequest('n'.repeat(4096)), REP.ERR_UNKNOWN],
  ['GO with a NUL in the name', OPT.GO, infoRequest('di\0sk'), REP.ERR_INVALID],
  ['GO with more kinds of information than it has', OPT.GO, Buffer.concat([counted('disk'), u16(9)]), REP.ERR_INVALID],
  [
    'SET_META_CONTEXT without structured replies',
    OPT.SET_META_CONTEXT,
    Buffer.concat([counted('disk'), u32(0)]),
    REP.ERR_INVALID,
  ],
];

test('a mistake in an option is answered with its error, and the handshake goes on', async () => {
  await using disk = await ServedDisk.open();
  const client = await haggler(disk);
  for (const [what, number, data, error] of refusals) {
    const replies = await client.haggle(number, data);
    assert.deepEqual([replies.length, replies[0]?.option, replies[0]?.type], [1, number, error], what);
    assert.ok((replies[0]?.data.length ?? 0) <= 4096);
  }
  assert.equal((await client.haggle(OPT.GO, infoRequest('disk'))).at(-1)?.type, REP.ACK);
});

test('metadata contexts are listed by query and namespace, selected by name, and unknown ones ignored', async () => {
  await using disk = await ServedDisk.open();
  const client = await haggler(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  const names = async (number: number, ...queries: readonly string[]): Promise<string[]> => {
    const data = [counted('disk'), u32(queries.length), ...queries.map(counted)];
    const replies = await client.haggle(number, ...data);
    assert.equal(replies.pop()?.type, REP.ACK);
    return replies.map(({ data: context }) => `${context.readUInt32BE(0)} ${context.subarray(4)}`);
  };
  const { LIST_META_CONTEXT: list, SET_META_CONTEXT: set } = OPT;
  assert.deepEqual(await names(list), ['0 base:allocation']);
  assert.deepEqual(await names(list, 'base:'), ['0 base:allocation']);
  assert.deepEqual(await names(list, 'base:allocation', 'nocolon', 'x:y'), ['0 base:allocation']);
  assert.deepEqual(await names(list, 'x:'), []);
  assert.deepEqual(await names(set, 'x:y', 'base:allocation'), ['1 base:allocation']);
  assert.deepEqual(await names(set, 'base:'), []);
  assert.deepEqual(await names(set), []);
});

test('ABORT is acknowledged and ends the connection', async () => {
  await using disk = await ServedDisk.open();
  const client = await haggler(disk);
  assert.deepEqual(
    (await client.haggle(OPT.ABORT)).map(({ type }) => type),
    [REP.ACK],
  );
  assert.equal((await client.readToEnd()).length, 0);
});

const disconnections: readonly [string, readonly Buffer[]][] = [
  ['unknown client flags', [u32(4)]],
  ['an option without the magic', [u32(3), Buffer.alloc(16)]],
  ['EXPORT_NAME of an unknown export', [u32(3), option(OPT.EXPORT_NAME, Buffer.from('other'))]],
  ['an option of 1 GiB', [u32(3), Buffer.from('IHAVEOPT'), u32(77), u32(1 << 30)]],
  ['more than 64 KiB of options', [u32(3), ...Array.from({ length: 17 }, () => option(77, Buffer.alloc(4096)))]],
  ['haggling without the fixed newstyle', [u32(0), option(OPT.LIST)]],
];
for (const [what, parts] of disconnections) {
  test(`${what}: the client is disconnected, and others are served`, async () => {
    await using disk = await ServedDisk.open();
    const client = await disk.connect();
    client.send(...parts);
    await client.readToEnd();
    await disk.attach();
  });
}

test('the 33rd option ends the connection', async () => {
  await using disk = await ServedDisk.open();
  const client = await haggler(disk);
  for (let i = 0; i < 32; i++) assert.equal((await client.haggle(77))[0]?.type, REP.ERR_UNSUP);
  client.send(option(77));
  assert.equal((await client.readToEnd()).length, 0);
});

test('a client that does not end its handshake in time is disconnected, one that has ended it is not', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open({ clock });
  const idle = await haggler(disk);
  await idle.haggle(OPT.LIST);
  const attached = await disk.attach();
  clock.advance(HANDSHAKE_TIMEOUT_MS);
  await idle.readToEnd();
  attached.send(Buffer.concat([u32(0x25609513), u32(3), Buffer.alloc(20)]));
  assert.equal((await attached.simpleReply()).error, 0);
});

test('a client that leaves at any byte of its handshake harms nobody', async () => {
  await using disk = await ServedDisk.open();
  const wire = Buffer.concat([u32(3), option(OPT.STRUCTURED_REPLY), option(OPT.GO, infoRequest('disk', 3))]);
  for (let length = 0; length <= wire.length; length++) {
    using client = await RawNbdClient.connect(disk.path);
    client.send(wire.subarray(0, length));
  }
  await disk.attach();
});

test('a handshake that arrives byte by byte is understood', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.connect();
  await client.read(18);
  for (const byte of Buffer.concat([u32(3), option(OPT.GO, infoRequest('disk'))])) {
    await new Promise<void>(resolve => client.socket.write(Buffer.from([byte]), () => resolve()));
  }
  assert.equal((await client.read(32)).subarray(22).toString('hex'), `${MIB_HEX}056d`);
});
