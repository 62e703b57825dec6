import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { TlsFiles } from '../../../test/support/tls-files.ts';
import { deferred } from '../../base/deadline.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import { silentLogger } from '../../base/logger.ts';
import { acceptTls } from './accept-tls.ts';
import { connectTls } from './connect-tls.ts';
import { loadPskFile, parsePskFile } from './psk-file.ts';
import type { TlsCredentials } from './tls-credentials.ts';
import { loadX509Directory } from './x509-directory.ts';

let files: TlsFiles;
before(async () => {
  files = await TlsFiles.create();
});
after(() => files[Symbol.asyncDispose]());

const x509 = (directory: string, endpoint: 'server' | 'client', verifyPeer = true): Promise<TlsCredentials> =>
  loadX509Directory(directory, { endpoint, verifyPeer });
const psk = (endpoint: 'server' | 'client', username = 'alice'): Promise<TlsCredentials> =>
  loadPskFile(files.keys, { endpoint, username });

/** The version of TLS each side came to, or why it did not. */
type Outcome = { readonly server: string | null | Error; readonly client: string | null | Error };

/** What each side comes to where both want TLS. */
async function meet(server: TlsCredentials, client: TlsCredentials, hostname: string | null): Promise<Outcome> {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  const accepted = deferred<TLSSocket | Error>();
  const listener = createServer(socket => {
    void acceptTls(socket, server).then(accepted.resolve, accepted.resolve);
  });
  await once(listener.listen(path), 'listening');
  const socket = connect(path);
  await once(socket, 'connect');
  const connected = await connectTls(socket, client, hostname).catch((error: Error) => error);
  const outcome = { server: versionOf(await accepted.promise), client: versionOf(connected) };
  for (const side of [await accepted.promise, connected]) {
    if (!(side instanceof Error)) side.on('error', () => {}).destroy();
  }
  listener.close();
  return outcome;
}

function versionOf(side: TLSSocket | Error): string | null | Error {
  return side instanceof Error ? side : side.getProtocol();
}

function failureOf(side: string | null | Error): string {
  assert.ok(side instanceof ColobusError, 'The handshake succeeded');
  return side.message;
}

test('two sides with certificates of one authority meet in TLS 1.3', async () => {
  for (const [endpoint, hostname] of [
    [files.directory, 'localhost'],
    [files.directory, '127.0.0.1'],
    [files.directory, null],
    [files.otherHost, 'elsewhere.example'],
    [files.otherHost, null],
  ] as const) {
    const { server, client } = await meet(await x509(endpoint, 'server'), await x509(endpoint, 'client'), hostname);
    assert.deepEqual([server, client], ['TLSv1.3', 'TLSv1.3']);
  }
});

for (const [what, directory, hostname, told] of [
  ['for another host', () => files.otherHost, 'localhost', /elsewhere\.example/],
  ['for another address', () => files.directory, '127.0.0.2', /127\.0\.0\.2/],
  ['of a stranger', () => files.stranger, 'localhost', /self-signed|signature|issuer|verify/],
  ['that has expired', () => files.expired, 'localhost', /expired/],
] as const) {
  test(`a client refuses the certificate of a server ${what}`, async () => {
    const server = await x509(directory(), 'server', false);
    const { client } = await meet(server, await x509(files.directory, 'client'), hostname);
    assert.match(failureOf(client), told);
  });
}

test('a client that does not verify takes any certificate', async () => {
  const server = await x509(files.stranger, 'server', false);
  const { client } = await meet(server, await x509(files.directory, 'client', false), 'elsewhere.example');
  assert.equal(client, 'TLSv1.3');
});

test('a server that verifies refuses a client without a certificate, of a stranger, or with one taken back', async () => {
  const {
    certificate: _certificate,
    key: _key,
    ...nobody
  } = await loadX509Directory(files.directory, {
    endpoint: 'client',
    verifyPeer: true,
  });
  const stranger = await x509(files.stranger, 'client', false);
  const server = await x509(files.directory, 'server');
  assert.match(failureOf((await meet(server, nobody, 'localhost')).server), /certificate/);
  assert.match(failureOf((await meet(server, stranger, 'localhost')).server), /SELF_SIGNED|SIGNATURE|VERIFY|ISSUER/);
  const revoking = await x509(files.revoking, 'server');
  assert.match(failureOf((await meet(revoking, await x509(files.directory, 'client'), null)).server), /CERT_REVOKED/);
});

test('two sides with the same key meet in TLS 1.3', async () => {
  for (const name of ['alice', 'bob']) {
    const { server, client } = await meet(await psk('server'), await psk('client', name), 'localhost');
    assert.deepEqual([server, client], ['TLSv1.3', 'TLSv1.3']);
  }
});

test('a wrong key and an unknown name are refused by both sides', async () => {
  for (const [name, key] of [
    ['alice', Buffer.alloc(32, 1)],
    ['mallory', Buffer.alloc(32, 1)],
  ] as const) {
    const keys = new Map([[name, key]]);
    const liar: TlsCredentials = { kind: 'psk', endpoint: 'client', keys, username: name };
    const { server, client } = await meet(await psk('server'), liar, null);
    assert.match(failureOf(server), /TLS handshake with a client failed/);
    assert.match(failureOf(client), /TLS handshake with the server failed/);
  }
});

test('a client with certificates and a server with keys do not meet', async () => {
  const { server, client } = await meet(await psk('server'), await x509(files.directory, 'client', false), null);
  assert.match(failureOf(server), /failed/);
  assert.match(failureOf(client), /failed/);
});

test('plain text where a handshake should be is refused', async () => {
  const accepted = deferred<TLSSocket>();
  const credentials = await psk('server');
  const listener = createServer(socket => {
    acceptTls(socket, credentials).then(accepted.resolve, accepted.reject);
  });
  await using folder = await TemporaryFolder.create('memory');
  await once(listener.listen(folder.file('socket')), 'listening');
  const socket = connect(folder.file('socket'), () => socket.write('IHAVEOPT'));
  await assert.rejects(accepted.promise, ColobusError);
  socket.destroy();
  listener.close();
});

test('files that are missing or do not fit are named', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const empty = folder.file('empty');
  await mkdir(empty);
  const says = (text: RegExp) => (error: unknown) => error instanceof UsageError && text.test(error.message);
  await assert.rejects(x509(empty, 'server'), says(/ca-cert\.pem.*; create it/));
  await assert.rejects(x509(empty, 'server', false), says(/server-cert\.pem/));
  await copyFile(`${files.directory}/server-cert.pem`, `${empty}/server-cert.pem`);
  await assert.rejects(x509(empty, 'server', false), says(/server-key\.pem/));
  await copyFile(`${files.directory}/client-key.pem`, `${empty}/server-key.pem`);
  await assert.rejects(x509(empty, 'server', false), says(/belong together/));
  await assert.rejects(loadPskFile(folder.file('no.psk'), { endpoint: 'server' }), says(/no\.psk.*psktool/));
  await assert.rejects(psk('client', 'carol'), says(/no key of 'carol'/));
});

test('credentials serve the side they were loaded for', async () => {
  const socket = connect('/nonexistent').on('error', () => {});
  const client = await psk('client');
  const server = await psk('server');
  assert.throws(() => acceptTls(socket, client), UsageError);
  assert.throws(() => connectTls(socket, server, null), UsageError);
});

test('a key file has a line for each user, with names in hexadecimal after a #', () => {
  const keys = parsePskFile('alice:0011\r\n#626f62:FF\n\n', 'keys.psk');
  assert.deepEqual(
    [...keys].map(([name, key]) => [name, key.toString('hex')]),
    [
      ['alice', '0011'],
      ['bob', 'ff'],
    ],
  );
});

for (const text of ['', 'alice', 'alice:', ':0011', 'alice:001', 'alice:xyz', `alice:${'00'.repeat(513)}`, '#6:00']) {
  test(`'${text.slice(0, 20)}' is not a key file, and the error does not repeat it`, () => {
    assert.throws(
      () => parsePskFile(text, 'keys.psk'),
      (error: unknown) =>
        error instanceof UsageError && /'keys\.psk'/.test(error.message) && !/0{3}/.test(error.message),
    );
  });
}

test('a key file that others may read is warned of and used', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('keys.psk');
  await writeFile(path, 'alice:0011\n');
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_fields: object, message: string) => warnings.push(message) };
  for (const [mode, count] of [
    [0o600, 0],
    [0o640, 1],
    [0o604, 2],
  ] as const) {
    await chmod(path, mode);
    assert.equal((await loadPskFile(path, { endpoint: 'server', logger })).keys.size, 1);
    assert.equal(warnings.length, count);
  }
});
