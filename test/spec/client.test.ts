/** The client's duties (NBD proto.md), seen from a server that notes what is sent; a title names the rules it shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EINVAL, ENOTSUP } from '../../src/base/errno.ts';
import { ColobusError, UsageError } from '../../src/base/errors.ts';
import { NbdClient, parseNbdUri } from '../../src/nbd/client/index.ts';
import { CMD, OPT, REP } from '../support/raw-nbd-client.ts';
import {
  CONTEXT_ID,
  chunk,
  EVERYTHING,
  NOTHING,
  type RecordedCommand,
  type RecordingOptions,
  RecordingServer,
  simpleReply,
  u64,
} from './recording-server.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const FUA = 1;
const NO_HOLE = 2;
const FAST_ZERO = 16;
const PAYLOAD_LEN = 32;

function connect(server: RecordingServer): Promise<NbdClient> {
  return NbdClient.connect({ address: server.address, exportName: 'disk' });
}

/** Makes each kind of call with each of its options, some at once, some of no length. */
async function makeEveryCall(client: NbdClient): Promise<void> {
  await Promise.all([
    ...Array.from({ length: 50 }, (_, index) => client.read(index * 4096, 4096)),
    client.write(256 * KIB, Buffer.alloc(8192, 1), { fua: true }),
    client.write(0, Buffer.alloc(0)),
    client.read(MIB, 0),
    client.trim(0, 0),
    client.writeZeroes(0, 0),
  ]);
  await client.write(0, Buffer.alloc(4096, 2));
  await client.writeZeroes(8192, 4096, { fua: true });
  await client.writeZeroes(8192, 4096, { mayUnmap: false });
  await client.writeZeroes(8192, 4096, { fastOnly: true }).catch(error => {
    assert.equal(error.errno, ENOTSUP, 'where the server has no fast zeroes');
  });
  await client.trim(16_384, 4096);
  await client.cache(0, 4096);
  await client.blockStatus(0, MIB);
  await client.flush();
}

const ALLOWED: Readonly<Record<number, number>> = {
  [CMD.WRITE]: FUA,
  [CMD.WRITE_ZEROES]: FUA | NO_HOLE | FAST_ZERO,
};

for (const replies of ['simple', 'structured', 'extended'] as const) {
  for (const exportFlags of [EVERYTHING, NOTHING]) {
    test(`with ${replies} replies and flags 0x${exportFlags.toString(16)} the client uses what was advertised, aligned, with lengths and cookies as they must be [transmission.2] [transmission-flags.2] [transmission-flags.7] [transmission-flags.12] [command-flags.1] [command-flags.3] [command-flags.5] [command-flags.8] [command-flags.11] [read.2] [write.1] [write.2] [trim.1] [trim.4] [flush.2] [flush.3] [disc.2] [disc.3] [write-zeroes.1] [write-zeroes.4] [write-zeroes.5] [block-status.1] [block-status.3] [metadata.1] [metadata.3] [set-meta-context.3] [structured-reply-option.6] [baseline.4] [ext-request.1] [ext-request.2] [ext-request.3] [ext-option.7] [ext-option.8] [ext-flag.1] [ext-payload.3] [haggling-end.5] [transmission-end.6]`, async () => {
      await using server = await RecordingServer.start({ replies, exportFlags, blockSizes: [4096, 4096, MIB] });
      const client = await connect(server);
      await makeEveryCall(client);
      await client.close();
      await server.ended();
      assert.equal(server.hardEnds, 0);
      assert.equal(server.afterGoodbye, 0, 'nothing after DISC');
      checkCommands(server.commands, exportFlags, replies);
    });
  }
}

function checkCommands(commands: readonly RecordedCommand[], exportFlags: number, replies: string): void {
  const cookies = new Set<string>();
  for (const { type, flags, offset, length, payload, cookie, isExtended } of commands) {
    assert.equal(isExtended, replies === 'extended');
    // All others were answered when the client disconnects.
    if (type !== CMD.DISC) assert.ok(!cookies.has(cookie.toString('hex')), 'a cookie of its own');
    cookies.add(cookie.toString('hex'));
    const allowed = (ALLOWED[type] ?? 0) | (isExtended && type === CMD.WRITE ? PAYLOAD_LEN : 0);
    assert.equal(flags & ~allowed, 0, `command ${type} with flags ${flags}`);
    if (isExtended) assert.equal((flags & PAYLOAD_LEN) !== 0, type === CMD.WRITE);
    if (exportFlags === NOTHING) {
      assert.equal(flags & ~PAYLOAD_LEN, 0);
      assert.ok(type <= CMD.DISC || type === CMD.BLOCK_STATUS, `command ${type}`);
    }
    if (replies === 'simple') assert.notEqual(type, CMD.BLOCK_STATUS);
    if (type === CMD.DISC || type === CMD.FLUSH) assert.deepEqual([offset, length], [0, 0]);
    else assert.ok(length > 0 && offset % 4096 === 0 && length % 4096 === 0 && offset + length <= MIB);
    assert.equal(payload.length, type === CMD.WRITE ? length : 0);
  }
  assert.equal(commands.at(-1)?.type, CMD.DISC);
  if (exportFlags !== EVERYTHING) return;
  const zeroes = commands.filter(({ type }) => type === CMD.WRITE_ZEROES).map(({ flags }) => flags);
  assert.deepEqual(zeroes, [FUA, NO_HOLE, FAST_ZERO]);
}

test('the client asks for the export in options without excess, in their order [fixed-newstyle.1] [fixed-newstyle.3] [client-flags.1] [client-flags.4] [abort.2] [list.1] [structured-reply-option.1] [ext-option.1] [block-size.1] [block-size.2] [info-go.1] [info-go.2] [info-go.16] [export-name.3] [tls-client.9] [interoperability.3] [list-meta-context.1] [list-meta-context.2] [set-meta-context.1] [set-meta-context.4] [ext-handshake.1] [ext-handshake.4] [ext-option.5]', async () => {
  for (const replies of ['simple', 'structured', 'extended'] as const) {
    await using server = await RecordingServer.start({ replies });
    await (await connect(server)).close();
    await NbdClient.list({ address: server.address });
    await NbdClient.info({ address: server.address, exportName: 'disk' });
    await server.ended();
    assert.deepEqual(new Set(server.clientFlags), new Set([3]));
    const numbers = server.options.map(({ number }) => number);
    assert.equal(numbers.filter(number => number === OPT.GO).length, 1);
    assert.ok(!numbers.includes(OPT.EXPORT_NAME));
    for (const { number, data } of server.options) {
      if ([OPT.ABORT, OPT.LIST, OPT.STRUCTURED_REPLY, OPT.EXTENDED_HEADERS].some(option => option === number)) {
        assert.equal(data.length, 0);
      }
      if (number === OPT.GO) checkInfoRequest(data);
      if (number === OPT.SET_META_CONTEXT || number === OPT.LIST_META_CONTEXT) {
        assert.notEqual(replies, 'simple');
        checkQueries(data);
      }
    }
  }
});

/** The name and its length fit, and each information is asked for once, block sizes among them. */
function checkInfoRequest(data: Buffer): void {
  const nameBytes = data.readUInt32BE(0);
  assert.equal(data.toString('utf8', 4, 4 + nameBytes), 'disk');
  const count = data.readUInt16BE(4 + nameBytes);
  assert.equal(data.length, 6 + nameBytes + 2 * count);
  const infos = Array.from({ length: count }, (_, index) => data.readUInt16BE(6 + nameBytes + 2 * index));
  assert.equal(new Set(infos).size, count);
  assert.ok(infos.includes(3));
}

function checkQueries(data: Buffer): void {
  const nameBytes = data.readUInt32BE(0);
  let at = 8 + nameBytes;
  for (let left = data.readUInt32BE(4 + nameBytes); left > 0; left--) {
    const length = data.readUInt32BE(at);
    assert.match(data.toString('utf8', at + 4, at + 4 + length), /^[^:\s]+:/);
    at += 4 + length;
  }
  assert.equal(at, data.length);
}

test('the client waits for the answer before it sends the next option [fixed-newstyle.2]', async () => {
  await using server = await RecordingServer.start({ replies: 'structured', refused: {} });
  const { ScriptedNbdServer } = await import('../support/scripted-nbd-server.ts');
  let after = 'nothing asked';
  await using silent = await ScriptedNbdServer.start(async peer => {
    peer.write(Buffer.from('4e42444d4147494349484156454f50540003', 'hex'));
    await peer.read(4 + 16);
    after = 'silent';
    await peer.read(1).then(
      () => (after = 'sent more'),
      () => {},
    );
  });
  const opening = NbdClient.connect({ address: { kind: 'unix', path: silent.socket }, openTimeoutMs: 200 });
  await assert.rejects(opening, ColobusError);
  assert.equal(after, 'silent');
  await (await connect(server)).close();
});

for (const [greetingFlags, clientFlags] of [
  [3, 3],
  [1, 1],
  [2, 2],
  [0, 0],
  [0x8003, 3],
  [0xfffc, 0],
] as const) {
  test(`handshake flags 0x${greetingFlags.toString(16)} are answered with ${clientFlags} [newstyle.5] [client-flags.2] [tls-client.2]`, async () => {
    await using server = await RecordingServer.start({ greetingFlags });
    await (await connect(server)).close();
    assert.deepEqual(server.clientFlags, [clientFlags]);
    if ((greetingFlags & 1) === 0)
      assert.deepEqual(
        server.options.map(({ number }) => number),
        [OPT.EXPORT_NAME],
      );
  });
}

test('the port of an NBD URI is 10809 unless given [newstyle.1]', () => {
  assert.deepEqual(parseNbdUri('nbd://host/disk').address, { kind: 'inet', host: 'host', port: 10809 });
});

test('a server without GO is asked by EXPORT_NAME, one without STRUCTURED_REPLY or EXTENDED_HEADERS served simply [export-name.4] [info-go.13] [structured-reply-option.4] [ext-option.10] [interoperability.4] [baseline.1]', async () => {
  const refused = { [OPT.GO]: REP.ERR_UNSUP, [OPT.INFO]: REP.ERR_UNSUP };
  await using server = await RecordingServer.start({ refused });
  await using client = await connect(server);
  assert.equal((await client.read(0, 512)).length, 512);
  await client.write(0, Buffer.alloc(512));
  const numbers = server.options.map(({ number }) => number);
  assert.equal(numbers.at(-1), OPT.EXPORT_NAME);
  assert.ok(numbers.includes(OPT.STRUCTURED_REPLY) && numbers.includes(OPT.EXTENDED_HEADERS));
});

test('unknown information and flags are ignored, in any order of the information [info-go.5] [option-reply.4] [option-reply.5] [transmission-flags.13] [set-meta-context.7] [base-allocation.3]', async () => {
  await using server = await RecordingServer.start({ replies: 'structured', exportFlags: 0xe001 | EVERYTHING });
  await using client = await connect(server);
  assert.equal(client.sizeBytes, MIB);
  assert.deepEqual(await client.blockStatus(0, 4096), [{ offset: 0, length: 4096, hole: false, zero: false }]);
});

test('contexts that come before an error are disregarded [list-meta-context.7] [list-meta-context.13]', async () => {
  await using server = await RecordingServer.start({
    replies: 'structured',
    refused: { [OPT.SET_META_CONTEXT]: REP.ERR_POLICY },
  });
  await using client = await connect(server);
  const extents = await client.blockStatus(0, 4096);
  assert.deepEqual(extents, [{ offset: 0, length: 4096, hole: false, zero: false }]);
  assert.ok(server.commands.every(({ type }) => type !== CMD.BLOCK_STATUS));
});

for (const [what, refused] of [
  ['shutting down', { [OPT.GO]: REP.ERR_SHUTDOWN }],
  ['without the export', { [OPT.GO]: REP.ERR_UNKNOWN }],
  ['of a policy against it', { [OPT.GO]: REP.ERR_POLICY }],
  ['that requires TLS', { [OPT.GO]: REP.ERR_TLS_REQD }],
] as const) {
  test(`the client leaves a server ${what} by ABORT [haggling-end.1] [haggling-end.4] [haggling-end.6] [haggling-end.9] [abort.4]`, async () => {
    await using server = await RecordingServer.start({ refused });
    await assert.rejects(connect(server), ColobusError);
    await server.ended();
    assert.equal(server.options.at(-1)?.number, OPT.ABORT);
    assert.equal(server.afterGoodbye, 0);
  });
}

test('the client leaves a server that answers ESHUTDOWN by DISC [transmission-end.5] [transmission-end.7]', async () => {
  await using server = await RecordingServer.start({ errors: { [CMD.READ]: 108 } });
  const client = await connect(server);
  await assert.rejects(client.read(0, 512), ColobusError);
  await server.ended();
  assert.equal(server.commands.at(-1)?.type, CMD.DISC);
  assert.equal(server.hardEnds, 0);
  await client.close();
});

test('block sizes that were asked for are kept to: alignment, size and maximum [block-size.5] [block-size.17] [block-size.18] [block-size.20] [block-size.21] [ext-hole.1]', async () => {
  await using server = await RecordingServer.start({ blockSizes: [512, 4096, 64 * KIB] });
  await using client = await connect(server);
  await client.read(0, MIB);
  await client.write(0, Buffer.alloc(MIB));
  for (const [offset, length] of [
    [1, 512],
    [512, 511],
    [MIB, 512],
    [MIB - 512, 1024],
  ] as const) {
    await assert.rejects(client.read(offset, length), UsageError);
    await assert.rejects(client.write(offset, Buffer.alloc(length)), UsageError);
  }
  assert.equal(server.commands.length, 32);
  for (const { offset, length } of server.commands) {
    assert.ok(offset % 512 === 0 && length % 512 === 0 && length <= 64 * KIB && offset + length <= MIB);
  }
});

test('a payload of 32 MiB from a server that told no sizes is no attack [block-size.23]', async () => {
  await using server = await RecordingServer.start({ sizeBytes: 40 * MIB });
  await using client = await connect(server);
  assert.equal((await client.read(0, 32 * MIB)).length, 32 * MIB);
  await client.read(0, 40 * MIB);
  assert.ok(server.commands.every(({ length }) => length <= 32 * MIB));
});

test('several connections are used only where the server allows it, and a flush waits for what it covers [transmission-flags.9] [ordering.2]', async () => {
  for (const exportFlags of [EVERYTHING, EVERYTHING & ~0x100]) {
    await using server = await RecordingServer.start({ exportFlags });
    const client = await NbdClient.connect({ address: server.address, exportName: 'disk' }, { connections: 4 });
    await Promise.all(Array.from({ length: 40 }, (_, index) => client.write(index * 4096, Buffer.alloc(4096))));
    const writes = server.commands.length;
    assert.equal(writes, 40, 'all writes were answered before the flush is sent');
    await client.flush();
    assert.equal(server.commands[40]?.type, CMD.FLUSH);
    assert.equal(server.connections, (exportFlags & 0x100) === 0 ? 1 : 4);
    await client.close();
  }
});

test('an error that is unknown counts as EINVAL and ends no connection [errors.11]', async () => {
  await using server = await RecordingServer.start({ errors: { [CMD.READ]: 4711 } });
  await using client = await connect(server);
  await assert.rejects(client.read(0, 512), error => error instanceof ColobusError && error.errno === EINVAL);
  await client.write(0, Buffer.alloc(512));
});

type Answering = (command: RecordedCommand) => readonly Buffer[];

/** A client of a server that answers in its own way. */
async function answered(answering: Answering, options: RecordingOptions = {}): Promise<RecordingServer> {
  return await RecordingServer.start({
    replies: 'structured',
    ...options,
    answer: (peer, command) => {
      if (command.type !== CMD.READ && command.type !== CMD.BLOCK_STATUS) return false;
      peer.write(Buffer.concat(answering(command)));
      return true;
    },
  });
}

test('chunks are put together in the right order, and unknown flags of theirs ignored [read.14] [reply-flags.5]', async () => {
  for (const replies of ['structured', 'extended'] as const) {
    await using server = await answered(
      command => [
        chunk(command, 1, Buffer.concat([u64(1024), Buffer.alloc(512, 3)]), 0x8000),
        chunk(command, 2, Buffer.concat([u64(512), Buffer.from('00000200', 'hex')]), 0x10),
        chunk(command, 1, Buffer.concat([u64(0), Buffer.alloc(512, 1)]), 0x4001),
      ],
      { replies },
    );
    await using client = await connect(server);
    const expected = Buffer.concat([Buffer.alloc(512, 1), Buffer.alloc(512), Buffer.alloc(512, 3)]);
    assert.deepEqual(await client.read(0, 1536), expected);
  }
});

test('an error chunk of an unknown type fails its request and no more [reply-types.26]', async () => {
  await using server = await answered(command => [
    chunk(
      command,
      0x8777,
      Buffer.concat([Buffer.from('00000005', 'hex'), Buffer.from('0002', 'hex'), Buffer.from('no')]),
    ),
  ]);
  await using client = await connect(server);
  await assert.rejects(client.read(0, 512), error => error instanceof ColobusError && error.errno === 5);
  await client.write(0, Buffer.alloc(512));
});

test('extents may be of equal status, of either kind, and end past the request [block-status.8] [ext-status.6]', async () => {
  const compact = Buffer.from('000002000000000000000200000000000000040000000000', 'hex');
  const wide = Buffer.concat([u64(512), u64(0), u64(512), u64(0), u64(1024), u64(0)]);
  for (const [type, body] of [
    [5, Buffer.concat([Buffer.from('00005eed', 'hex'), compact])],
    [6, Buffer.concat([Buffer.from('00005eed00000003', 'hex'), wide])],
    [6, Buffer.concat([Buffer.from('00005eed00000000', 'hex'), wide])],
  ] as const) {
    await using server = await answered(command => [chunk(command, type, body)], { replies: 'extended' });
    await using client = await connect(server);
    const extents = await client.blockStatus(0, 1536);
    assert.equal(
      extents.reduce((sum, { length }) => sum + length, 0),
      1536,
    );
  }
  assert.equal(CONTEXT_ID, 0x5eed);
});

test('without structured replies a simple reply carries the data', async () => {
  await using server = await answered(command => [simpleReply(command, 0, Buffer.alloc(command.length, 7))], {
    replies: 'simple',
  });
  await using client = await connect(server);
  assert.deepEqual(await client.read(0, 3), Buffer.from([7, 7, 7]));
});
