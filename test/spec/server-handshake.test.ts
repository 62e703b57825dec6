/** The server's duties in the handshake (NBD proto.md); a title names the rules it shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NbdExport } from '../../src/nbd/server/nbd-export.ts';
import { NbdServer } from '../../src/nbd/server/nbd-server.ts';
import { HeldNode } from '../support/held-node.ts';
import {
  CMD,
  counted,
  infoRequest,
  OPT,
  type OptionReply,
  option,
  RawNbdClient,
  REP,
  request,
  u16,
  u32,
} from '../support/raw-nbd-client.ts';
import { ServedDisk } from '../support/served-disk.ts';

const MIB = 1024 * 1024;
const PLAIN = 3;

/** A client that has sent `flags`, with the server's greeting. */
async function greeted(disk: ServedDisk, flags = PLAIN): Promise<RawNbdClient> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(flags));
  return client;
}

/** The type of the last reply to an option. */
async function final(client: RawNbdClient, number: number, ...data: readonly Buffer[]): Promise<number | undefined> {
  return (await client.haggle(number, ...data)).at(-1)?.type;
}

/** True where the server ends the connection without a byte. */
async function isCutOff(client: RawNbdClient): Promise<boolean> {
  return (await client.readToEnd()).length === 0;
}

function infos(replies: readonly OptionReply[]): Map<number, Buffer> {
  const found = replies
    .filter(({ type }) => type === REP.INFO)
    .map(({ data }) => [data.readUInt16BE(0), data] as const);
  return new Map(found);
}

function contextNames(replies: readonly OptionReply[]): string[] {
  return replies.filter(({ type }) => type === REP.META_CONTEXT).map(({ data }) => data.toString('utf8', 4));
}

function query(exportName: string, ...queries: readonly string[]): Buffer[] {
  return [counted(exportName), u32(queries.length), ...queries.map(counted)];
}

test('the greeting has the newstyle magic and the two flags there are [handshake-flags.1] [handshake-flags.3] [newstyle.3] [export-name.2]', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.connect();
  assert.equal((await client.read(18)).toString('latin1', 0, 16), 'NBDMAGICIHAVEOPT');
  const again = await disk.connect();
  assert.equal((await again.read(18)).readUInt16BE(16), 3);
});

for (const flags of [4, 0x80000000, 0xffffffff, 0x10003]) {
  test(`client flags 0x${flags.toString(16)} end the connection [newstyle.6] [client-flags.5]`, async () => {
    await using disk = await ServedDisk.open();
    assert.ok(await isCutOff(await greeted(disk, flags)));
  });
}

for (const [flags, bytes] of [
  [1, 134],
  [3, 10],
  [2, 10],
  [0, 134],
] as const) {
  test(`EXPORT_NAME after client flags ${flags} is answered by ${bytes} bytes [handshake-flags.2] [handshake-flags.4] [client-flags.3] [interoperability.4]`, async () => {
    await using disk = await ServedDisk.open();
    const client = await greeted(disk, flags);
    client.send(option(OPT.EXPORT_NAME, Buffer.from('disk')), request({ type: CMD.READ, cookie: 7, length: 1 }));
    const answer = await client.read(bytes);
    assert.equal(answer.readBigUInt64BE(0), BigInt(MIB));
    assert.ok(answer.subarray(10).every(byte => byte === 0));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 7 });
  });
}

test('EXPORT_NAME of an export that is not there ends the connection [newstyle.7] [export-name.1] [haggling-end.3]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  client.send(option(OPT.EXPORT_NAME, Buffer.from('other')));
  assert.ok(await isCutOff(client));
});

for (const flags of [0, 2]) {
  test(`STARTTLS without the fixed newstyle (flags ${flags}) is not negotiated [tls-server.4]`, async () => {
    await using disk = await ServedDisk.open();
    const client = await greeted(disk, flags);
    client.send(option(OPT.STARTTLS));
    assert.ok(await isCutOff(client));
  });
}

test('without TLS, STARTTLS is refused by policy and nothing requires TLS [tls-server.1] [notls.1] [notls.2] [starttls.2] [haggling-end.7]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  assert.equal(await final(client, OPT.STARTTLS), REP.ERR_POLICY);
  assert.equal(await final(client, OPT.STARTTLS, Buffer.alloc(1)), REP.ERR_INVALID);
  for (const [number, ...data] of [
    [OPT.LIST],
    [OPT.INFO, infoRequest('other')],
    [OPT.STRUCTURED_REPLY],
    [99],
  ] as const) {
    assert.notEqual(await final(client, number, ...data), REP.ERR_TLS_REQD);
  }
});

test('options that are unknown get ERR_UNSUP, and what follows is understood [baseline.2] [baseline.3] [haggling-end.4]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  for (const [number, data] of [
    [4, 0],
    [12, 100],
    [0, 1],
    [0xffffffff, 4096],
    [0x49484156, 3],
  ] as const) {
    assert.equal(await final(client, number, Buffer.alloc(data, 0x49)), REP.ERR_UNSUP, `option ${number}`);
  }
  assert.equal(await final(client, OPT.GO, infoRequest('disk')), REP.ACK);
});

test('the baseline works: INFO, GO, ABORT, LIST, READ, WRITE, DISC [baseline.1]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  assert.equal(await final(client, OPT.LIST), REP.ACK);
  assert.equal(await final(client, OPT.INFO, infoRequest('disk')), REP.ACK);
  assert.equal(await final(client, OPT.GO, infoRequest('disk')), REP.ACK);
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.from('baseline') }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  client.send(request({ type: CMD.READ, cookie: 2, length: 8 }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 2 });
  assert.equal((await client.read(8)).toString(), 'baseline');
  client.send(request({ type: CMD.DISC }));
  assert.ok(await isCutOff(client));
});

test('ABORT is acknowledged, whatever comes with it [abort.1] [abort.3]', async () => {
  await using disk = await ServedDisk.open();
  for (const data of [Buffer.alloc(0), Buffer.from('goodbye')]) {
    const client = await greeted(disk);
    assert.deepEqual(await client.haggle(OPT.ABORT, data), [
      { option: OPT.ABORT, type: REP.ACK, data: Buffer.alloc(0) },
    ]);
    assert.ok(await isCutOff(client));
  }
});

test('a client that leaves with ABORT and does not wait harms nobody [abort.5]', async () => {
  await using disk = await ServedDisk.open();
  for (let round = 0; round < 20; round++) {
    const leaver = await greeted(disk);
    leaver.send(option(OPT.ABORT));
    leaver.socket.destroy();
  }
  await disk.attach();
});

test('LIST names each export by name and description, and takes no data [list.2] [option-reply.1]', async () => {
  await using disk = await ServedDisk.open({ description: 'Größe' });
  const client = await greeted(disk);
  const [listed, last] = await client.haggle(OPT.LIST);
  assert.equal(listed?.type, REP.SERVER);
  assert.equal(listed?.data.toString('utf8', 4), 'diskGröße');
  assert.equal(listed?.data.readUInt32BE(0), 4);
  assert.equal(last?.type, REP.ACK);
  assert.equal(await final(client, OPT.LIST, Buffer.alloc(4)), REP.ERR_INVALID);
});

test('an export name of 4096 bytes is served; NUL, 4097 bytes and bad UTF-8 are refused [string.1] [string.3]', async () => {
  await using disk = await ServedDisk.open();
  const name = 'n'.repeat(4096);
  await using long = NbdExport.open({ id: 'long', name, node: new HeldNode(), writable: false });
  disk.server.addExport(long);
  const client = await greeted(disk);
  assert.equal(await final(client, OPT.INFO, infoRequest(name)), REP.ACK);
  assert.equal(await final(client, OPT.INFO, infoRequest(`${name}n`)), REP.ERR_INVALID);
  assert.equal(await final(client, OPT.INFO, infoRequest('di\0sk')), REP.ERR_INVALID);
  assert.equal(await final(client, OPT.INFO, u32(2), Buffer.from([0xc3, 0x28]), u16(0)), REP.ERR_INVALID);
  assert.throws(() => NbdExport.open({ id: 'bad', name: 'a\0b', node: new HeldNode(), writable: false }));
  assert.throws(() => NbdExport.open({ id: 'bad', name: `${name}n`, node: new HeldNode(), writable: false }));
});

test('lengths inside INFO and GO must add up [info-go.1]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  for (const data of [
    [],
    [u32(4), Buffer.from('disk')],
    [u32(5), Buffer.from('disk'), u16(0)],
    [u32(0xffffffff), Buffer.from('disk'), u16(0)],
    [counted('disk'), u16(1)],
    [counted('disk'), u16(0), u16(0)],
  ]) {
    assert.equal(await final(client, OPT.INFO, ...data), REP.ERR_INVALID);
    assert.equal(await final(client, OPT.GO, ...data), REP.ERR_INVALID);
  }
  assert.equal(await final(client, OPT.GO, infoRequest('disk')), REP.ACK);
});

test('information has the lengths it must have, each type once, INFO_EXPORT always [info-go.3] [info-go.6] [option-reply.2] [option-reply.3] [option-reply.6] [option-reply.7] [option-reply.8] [option-reply.10]', async () => {
  await using disk = await ServedDisk.open({ description: 'A disk' });
  const client = await greeted(disk);
  for (const asked of [[], [0], [1, 2, 3], [3, 2, 1, 0, 77, 0xffff]]) {
    const replies = await client.haggle(OPT.INFO, infoRequest('disk', ...asked));
    const told = infos(replies);
    assert.equal(told.size, replies.length - 1, 'each type once, then the ACK');
    assert.equal(told.get(0)?.length, 12);
    assert.equal(told.get(3)?.length, 14);
    if (asked.includes(1)) assert.equal(told.get(1)?.toString('utf8', 2), 'disk');
    if (asked.includes(2)) assert.equal(told.get(2)?.toString('utf8', 2), 'A disk');
  }
});

test('an export that is not there gives ERR_UNKNOWN and no information [info-go.7]', async () => {
  await using disk = await ServedDisk.open();
  const replies = await (await greeted(disk)).haggle(OPT.GO, infoRequest('other', 0, 1, 2, 3));
  assert.deepEqual(
    replies.map(({ type }) => type),
    [REP.ERR_UNKNOWN],
  );
});

test('block sizes are told and keep the rules [block-size.3] [block-size.4] [block-size.10] [block-size.11] [block-size.13] [block-size.14] [block-size.15] [block-size.16] [option-reply.9]', async () => {
  for (const requestAlignment of [1, 512, 4096, 65_536]) {
    await using disk = await ServedDisk.open({ limits: { requestAlignment } });
    const told = infos(await (await greeted(disk)).haggle(OPT.INFO, infoRequest('disk', 3))).get(3);
    const [minimum = 0, preferred = 0, maximum = 0] = [2, 6, 10].map(at => told?.readUInt32BE(at));
    assert.equal(minimum, requestAlignment);
    assert.ok(Math.log2(preferred) % 1 === 0 && preferred >= Math.max(minimum, 512));
    assert.ok(maximum % minimum === 0 && maximum >= preferred && maximum >= MIB);
  }
});

test('a node that needs alignment wants block sizes asked for, tells them first, and is not served otherwise [info-go.9] [info-go.11]', async () => {
  await using disk = await ServedDisk.open({ limits: { requestAlignment: 4096 } });
  const client = await greeted(disk);
  for (const number of [OPT.INFO, OPT.GO]) {
    const replies = await client.haggle(number, infoRequest('disk', 1));
    assert.equal(replies.at(-1)?.type, REP.ERR_BLOCK_SIZE_REQD);
    assert.equal(infos(replies).get(3)?.readUInt32BE(2), 4096);
  }
  assert.equal(await final(client, OPT.GO, infoRequest('disk', 3)), REP.ACK);
});

test('with default block sizes nobody has to ask for them [block-size.6] [block-size.8] [info-go.10] [interoperability.2]', async () => {
  await using disk = await ServedDisk.open();
  assert.equal(await final(await greeted(disk), OPT.GO, infoRequest('disk')), REP.ACK);
});

test('a client that did not ask for block sizes is held to them by errors, not by trust [block-size.9] [info-go.4]', async () => {
  await using disk = await ServedDisk.open({ limits: { requestAlignment: 512 } });
  const client = await greeted(disk);
  client.send(option(OPT.EXPORT_NAME, Buffer.from('disk')));
  await client.read(10);
  client.send(request({ type: CMD.WRITE, cookie: 1, offset: 100, payload: Buffer.alloc(512, 1) }));
  assert.deepEqual(await client.simpleReply(), { error: 22, cookie: 1 });
  client.send(request({ type: CMD.WRITE_ZEROES, cookie: 2, length: 100 }));
  assert.deepEqual(await client.simpleReply(), { error: 22, cookie: 2 });
  assert.deepEqual(disk.node.log, []);
});

test('GO behind an equal INFO tells the same, and nothing stands between ACK and transmission [info-go.14] [info-go.15]', async () => {
  for (const flags of [1, 3]) {
    await using disk = await ServedDisk.open({ description: 'same' });
    const client = await greeted(disk, flags);
    const asked = infoRequest('disk', 3, 1, 2);
    const told = await client.haggle(OPT.INFO, asked);
    const toldAgain = await client.haggle(OPT.GO, asked);
    assert.deepEqual(
      toldAgain.map(({ type, data }) => [type, data]),
      told.map(({ type, data }) => [type, data]),
    );
    client.send(request({ type: CMD.FLUSH, cookie: 3 }));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 3 });
  }
});

test('flags tell what is supported, and no more [transmission-flags.1] [transmission-flags.3] [transmission-flags.5] [transmission-flags.6] [transmission-flags.10] [transmission-flags.11] [structured-reply-option.5] [ext-option.6] [ext-payload.1] [ext-payload.2]', async () => {
  const flagsOf = async (
    writable: boolean,
    fastZeroes: boolean,
    ...before: readonly (readonly [number, ...Buffer[]])[]
  ) => {
    await using disk = await ServedDisk.open({ writable, limits: { fastZeroes } });
    const client = await greeted(disk);
    for (const [number, ...data] of before) await client.haggle(number, ...data);
    return infos(await client.haggle(OPT.INFO, infoRequest('disk')))
      .get(0)
      ?.readUInt16BE(10);
  };
  const select = [OPT.SET_META_CONTEXT, ...query('disk', 'base:allocation')] as const;
  assert.equal(await flagsOf(true, false), 0x56d);
  assert.equal(await flagsOf(true, true), 0xd6d);
  assert.equal(await flagsOf(false, true), 0x50f);
  assert.equal(await flagsOf(true, true, [OPT.STRUCTURED_REPLY]), 0xded);
  assert.equal(await flagsOf(true, true, [OPT.STRUCTURED_REPLY], select), 0xded);
  assert.equal(await flagsOf(true, true, [OPT.EXTENDED_HEADERS]), 0xded);
  assert.equal(await flagsOf(true, true, [OPT.EXTENDED_HEADERS], select), 0x1ded);
});

test('STRUCTURED_REPLY and EXTENDED_HEADERS take no data [structured-reply-option.2] [ext-option.2]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  assert.equal(await final(client, OPT.STRUCTURED_REPLY, u32(1)), REP.ERR_INVALID);
  assert.equal(await final(client, OPT.EXTENDED_HEADERS, u32(1)), REP.ERR_INVALID);
  assert.equal(
    infos(await client.haggle(OPT.INFO, infoRequest('disk')))
      .get(0)
      ?.readUInt16BE(10),
    0x56d,
  );
});

test('extended headers come with or without structured replies, and GO goes on [ext-option.3] [ext-option.4] [ext-handshake.3] [ext-handshake.6]', async () => {
  await using disk = await ServedDisk.open();
  for (const before of [[], [OPT.STRUCTURED_REPLY]]) {
    const client = await greeted(disk);
    for (const number of before) assert.equal(await final(client, number), REP.ACK);
    assert.equal(await final(client, OPT.EXTENDED_HEADERS), REP.ACK);
    assert.equal(await final(client, OPT.STRUCTURED_REPLY), REP.ERR_EXT_HEADER_REQD);
    assert.equal(await final(client, OPT.GO, infoRequest('disk')), REP.ACK);
  }
});

test('contexts are for those with structured replies [metadata.6] [set-meta-context.2] [ext-handshake.5]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  assert.equal(await final(client, OPT.LIST_META_CONTEXT, ...query('disk')), REP.ERR_INVALID);
  assert.equal(await final(client, OPT.SET_META_CONTEXT, ...query('disk', 'base:allocation')), REP.ERR_INVALID);
  await client.haggle(OPT.STRUCTURED_REPLY);
  assert.equal(await final(client, OPT.SET_META_CONTEXT, ...query('disk', 'base:allocation')), REP.ACK);
});

test('contexts are listed: all without a query, those that match, base: for its namespace [base.2] [metadata.7] [metadata.8] [list-meta-context.6] [list-meta-context.8] [list-meta-context.9] [list-meta-context.10] [list-meta-context.11] [list-meta-context.12] [option-reply.11]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  for (const queries of [[], ['base:'], ['base:allocation'], ['x-nobody:a', 'base:allocation']]) {
    const replies = await client.haggle(OPT.LIST_META_CONTEXT, ...query('disk', ...queries));
    const names = contextNames(replies);
    assert.ok(names.includes('base:allocation'));
    assert.ok(names.every(name => /^[^:\s]+:/.test(name)));
    assert.ok(replies.slice(0, -1).every(({ data }) => data.readUInt32BE(0) === 0));
    assert.equal(replies.at(-1)?.type, REP.ACK);
  }
});

test('queries that match nothing are ignored [base.3] [list-meta-context.4] [list-meta-context.5]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  const queries = ['x-nobody:knows', 'base:nothing', 'unknown:', 'Ü:ü'];
  for (const number of [OPT.LIST_META_CONTEXT, OPT.SET_META_CONTEXT]) {
    const replies = await client.haggle(number, ...query('disk', ...queries));
    assert.deepEqual(
      replies.map(({ type }) => type),
      [REP.ACK],
    );
  }
});

test('broken lengths in a query are refused [list-meta-context.3]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  for (const data of [
    [],
    [u32(5), Buffer.from('disk')],
    [counted('disk')],
    [counted('disk'), u32(1)],
    [counted('disk'), u32(0x10000000)],
    [counted('disk'), u32(1), u32(100), Buffer.from('base:')],
    [counted('disk'), u32(0), u32(0)],
  ]) {
    assert.equal(await final(client, OPT.LIST_META_CONTEXT, ...data), REP.ERR_INVALID);
    assert.equal(await final(client, OPT.SET_META_CONTEXT, ...data), REP.ERR_INVALID);
  }
});

test('contexts are selected by their names, with ids of their own; wildcards and no query select nothing [base.1] [metadata.12] [set-meta-context.5] [set-meta-context.6]', async () => {
  await using disk = await ServedDisk.open();
  const client = await greeted(disk);
  await client.haggle(OPT.STRUCTURED_REPLY);
  const all = contextNames(await client.haggle(OPT.LIST_META_CONTEXT, ...query('disk')));
  const selected = await client.haggle(OPT.SET_META_CONTEXT, ...query('disk', ...all));
  const ids = selected.slice(0, -1).map(({ data }) => data.readUInt32BE(0));
  assert.equal(new Set(ids).size, all.length);
  for (const queries of [[], ['base:'], ['qemu:'], ['colobus:']]) {
    assert.deepEqual(contextNames(await client.haggle(OPT.SET_META_CONTEXT, ...query('disk', ...queries))), []);
  }
});

test('over TCP the server sends without delay [phases.1]', async () => {
  const node = new HeldNode();
  await using server = await NbdServer.listen({ host: '127.0.0.1', port: 0 });
  await using exported = NbdExport.open({ id: 'e', name: 'disk', node, writable: true });
  server.addExport(exported);
  assert.ok('port' in server.address);
  using client = await RawNbdClient.attach({ host: '127.0.0.1', port: server.address.port }, 'disk', {
    structured: true,
  });
  // With Nagle's algorithm and delayed acknowledgements each of these would take 40 ms.
  const startMs = performance.now();
  for (let cookie = 0; cookie < 50; cookie++) {
    client.send(request({ type: CMD.READ, cookie, length: 8000 }));
    client.send(request({ type: CMD.READ, cookie, offset: 9, length: 1 }));
    await client.chunk();
    await client.chunk();
  }
  assert.ok(performance.now() - startMs < 1500);
});
