import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import {
  CMD,
  counted,
  infoRequest,
  OPT,
  option,
  type RawNbdClient,
  REP,
  request,
  u32,
} from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { TlsFiles } from '../../../test/support/tls-files.ts';
import { ENOSPC } from '../../base/errno.ts';
import { loadPskFile } from '../tls/psk-file.ts';
import type { TlsCredentials } from '../tls/tls-credentials.ts';
import { loadX509Directory } from '../tls/x509-directory.ts';
import type { ReceiveMode } from './accepted-socket.ts';
import { HANDSHAKE_TIMEOUT_MS } from './limits.ts';

const KIB = 1024;
const OPTION_REPLY_MAGIC = Buffer.from('0003e889045565a9', 'hex');
const MODES: readonly ReceiveMode[] = ['in-place', 'copy'];

let files: TlsFiles;
let serverKeys: TlsCredentials;
let alice: TlsCredentials;
before(async () => {
  files = await TlsFiles.create();
  serverKeys = await loadPskFile(files.keys, { endpoint: 'server' });
  alice = await loadPskFile(files.keys, { endpoint: 'client', username: 'alice' });
});
after(() => files[Symbol.asyncDispose]());

function serve(mode: 'allow' | 'require', receiveMode: ReceiveMode = 'in-place'): Promise<ServedDisk> {
  return ServedDisk.open({ server: { tls: { mode, credentials: serverKeys }, receiveMode } });
}

/** A client that has sent its handshake flags. */
async function haggler(disk: ServedDisk): Promise<RawNbdClient> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  return client;
}

async function answerTo(client: RawNbdClient, number: number, ...data: readonly Buffer[]): Promise<number | undefined> {
  return (await client.haggle(number, ...data)).at(-1)?.type;
}

for (const receiveMode of MODES) {
  test(`a client with a key starts TLS and is served (${receiveMode})`, async () => {
    await using disk = await serve('require', receiveMode);
    using client = await (await haggler(disk)).startTls(alice);
    assert.equal(await answerTo(client, OPT.GO, infoRequest('disk')), REP.ACK);
    const payload = Buffer.alloc(300 * KIB, 'encrypted');
    client.send(request({ type: CMD.WRITE, cookie: 1, offset: 512, payload }));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
    client.send(request({ type: CMD.READ, cookie: 2, offset: 512, length: payload.length }));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 2 });
    assert.deepEqual(await client.read(payload.length), payload);
    assert.deepEqual(disk.node.content.subarray(512, 512 + payload.length), payload);
    client.send(request({ type: CMD.DISC }));
    assert.equal((await client.readToEnd()).length, 0);
  });
}

test('before TLS, a server that requires it answers nothing but STARTTLS and ABORT', async () => {
  await using disk = await serve('require');
  const client = await haggler(disk);
  for (const [number, data] of [
    [OPT.LIST, Buffer.alloc(0)],
    [OPT.INFO, infoRequest('disk')],
    [OPT.GO, infoRequest('disk')],
    [OPT.GO, infoRequest('no such export')],
    [OPT.STRUCTURED_REPLY, Buffer.alloc(0)],
    [OPT.EXTENDED_HEADERS, Buffer.alloc(0)],
    [OPT.SET_META_CONTEXT, Buffer.concat([counted('disk'), u32(0)])],
    [77, Buffer.alloc(0)],
  ] as const) {
    assert.equal(await answerTo(client, number, data), REP.ERR_TLS_REQD, `option ${number}`);
  }
  assert.equal(await answerTo(client, OPT.STARTTLS, Buffer.alloc(1)), REP.ERR_INVALID);
  assert.equal(await answerTo(client, OPT.ABORT), REP.ACK);
  await client.readToEnd();
  const named = await haggler(disk);
  named.send(option(OPT.EXPORT_NAME, Buffer.from('disk')));
  assert.equal((await named.readToEnd()).length, 0);
});

test('where TLS is allowed, clients without it are served too', async () => {
  await using disk = await serve('allow');
  const plain = await haggler(disk);
  assert.equal(await answerTo(plain, OPT.GO, infoRequest('disk')), REP.ACK);
  using secure = await (await haggler(disk)).startTls(alice);
  assert.equal(await answerTo(secure, OPT.GO, infoRequest('disk')), REP.ACK);
});

test('EXPORT_NAME is answered through TLS', async () => {
  await using disk = await serve('require');
  using client = await (await haggler(disk)).startTls(alice);
  client.send(option(OPT.EXPORT_NAME, Buffer.from('disk')));
  assert.equal((await client.read(10)).readUInt32BE(4), 1024 * KIB);
});

test('TLS is started once', async () => {
  await using disk = await serve('allow');
  using client = await (await haggler(disk)).startTls(alice);
  assert.equal(await answerTo(client, OPT.STARTTLS), REP.ERR_INVALID);
});

test('what was negotiated in plain text is forgotten when TLS starts (CVE-2021-3716)', async () => {
  await using disk = await serve('allow');
  for (const style of [OPT.STRUCTURED_REPLY, OPT.EXTENDED_HEADERS]) {
    const plain = await haggler(disk);
    assert.equal(await answerTo(plain, style), REP.ACK);
    const contexts = [counted('disk'), u32(1), counted('base:allocation')];
    assert.equal(await answerTo(plain, OPT.SET_META_CONTEXT, ...contexts), REP.ACK);
    using client = await plain.startTls(alice);
    assert.equal(await answerTo(client, OPT.SET_META_CONTEXT, ...contexts), REP.ERR_INVALID);
    assert.equal(await answerTo(client, OPT.GO, infoRequest('disk')), REP.ACK);
    client.send(request({ type: CMD.READ, cookie: 1, length: 512 }));
    assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
    await client.read(512);
    client.send(request({ type: CMD.BLOCK_STATUS, cookie: 2, length: 512 }));
    assert.equal((await client.simpleReply()).error, 22);
  }
});

for (const receiveMode of MODES) {
  test(`plain text behind STARTTLS ends the connection, and others are served (${receiveMode})`, async () => {
    await using disk = await serve('allow', receiveMode);
    const together = await haggler(disk);
    together.send(option(OPT.STARTTLS), option(OPT.STRUCTURED_REPLY));
    await together.readToEnd();
    const later = await haggler(disk);
    assert.equal(await answerTo(later, OPT.STARTTLS), REP.ACK);
    later.send(option(OPT.STRUCTURED_REPLY));
    // The server may say why in a TLS alert; it does not answer the option.
    assert.ok(!(await later.readToEnd()).includes(OPTION_REPLY_MAGIC));
    await disk.attach();
  });
}

test('the payload of a refused write is drained from the encrypted stream (nbdkit 1.32.5 over TLS)', async () => {
  await using disk = await serve('require');
  using client = await (await haggler(disk)).startTls(alice);
  await client.haggle(OPT.GO, infoRequest('disk'));
  const payload = Buffer.alloc(900 * KIB, 7);
  client.send(
    request({ type: CMD.WRITE, cookie: 1, offset: 1000 * KIB, payload }),
    request({ type: CMD.FLUSH, cookie: 2 }),
  );
  assert.deepEqual(await client.simpleReply(), { error: ENOSPC, cookie: 1 });
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 2 });
});

test('a client without the right key is refused, and others are served', async () => {
  await using disk = await serve('require');
  const keys = new Map([['alice', Buffer.alloc(32, 1)]]);
  const plain = await haggler(disk);
  await assert.rejects(plain.startTls({ kind: 'psk', endpoint: 'client', keys, username: 'alice' }));
  using client = await (await haggler(disk)).startTls(alice);
  assert.equal(await answerTo(client, OPT.GO, infoRequest('disk')), REP.ACK);
});

test('with verify-peer a client needs a certificate of the authority', async () => {
  const credentials = await loadX509Directory(files.directory, { endpoint: 'server', verifyPeer: true });
  await using disk = await ServedDisk.open({ server: { tls: { mode: 'require', credentials } } });
  const known = await loadX509Directory(files.directory, { endpoint: 'client', verifyPeer: true });
  using client = await (await haggler(disk)).startTls(known, 'localhost');
  assert.equal(await answerTo(client, OPT.GO, infoRequest('disk')), REP.ACK);
  const stranger = await loadX509Directory(files.stranger, { endpoint: 'client', verifyPeer: false });
  // In TLS 1.3 the client is done before the server has looked: what it is told is the end of the connection.
  const refused = await (await haggler(disk)).startTls(stranger).catch(() => null);
  if (refused !== null) {
    refused.send(option(OPT.LIST));
    assert.equal((await refused.readToEnd()).length, 0);
  }
});

test('the time limit of the handshake includes that of TLS', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open({ clock, server: { tls: { mode: 'require', credentials: serverKeys } } });
  const silent = await haggler(disk);
  assert.equal(await answerTo(silent, OPT.STARTTLS), REP.ACK);
  clock.advance(HANDSHAKE_TIMEOUT_MS);
  await silent.readToEnd();
  using idle = await (await haggler(disk)).startTls(alice);
  clock.advance(HANDSHAKE_TIMEOUT_MS);
  await idle.readToEnd();
});

test('options before and after STARTTLS count together', async () => {
  await using disk = await serve('allow');
  const plain = await haggler(disk);
  for (let i = 0; i < 20; i++) assert.equal(await answerTo(plain, 77), REP.ERR_UNSUP);
  using client = await plain.startTls(alice);
  for (let i = 0; i < 11; i++) assert.equal(await answerTo(client, 77), REP.ERR_UNSUP);
  client.send(option(77));
  await client.readToEnd();
});

test('a server that stops ends encrypted connections in any phase', async () => {
  const disk = await serve('require');
  const starting = await haggler(disk);
  assert.equal(await answerTo(starting, OPT.STARTTLS), REP.ACK);
  const secure = await (await haggler(disk)).startTls(alice);
  const attached = await (await haggler(disk)).startTls(alice);
  await attached.haggle(OPT.GO, infoRequest('disk'));
  await disk[Symbol.asyncDispose]();
  assert.equal(disk.server.connections, 0);
  for (const client of [starting, secure, attached]) client[Symbol.dispose]();
});
