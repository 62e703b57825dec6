/** What NBD proto.md demands of TLS: its versions, and that a client negotiates nothing before it and all after it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as tls from 'node:tls';
import { deferred } from '../../src/base/deadline.ts';
import { ColobusError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { loadX509Directory } from '../../src/nbd/tls/x509-directory.ts';
import { OPT, REP, u16, u32 } from '../support/raw-nbd-client.ts';
import { ScriptedPeer } from '../support/scripted-nbd-server.ts';
import { ServedDisk } from '../support/served-disk.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { TlsFiles } from '../support/tls-files.ts';
import { u64 } from './recording-server.ts';

/** With it OpenSSL would speak versions that are no longer safe. */
const ANY_CIPHER = 'DEFAULT:@SECLEVEL=0';
const VERSIONS = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof VERSIONS)[number];

let files: TlsFiles;
before(async () => {
  files = await TlsFiles.create();
});
after(() => files[Symbol.asyncDispose]());

const pem = (name: string): Promise<Buffer> => readFile(join(files.directory, `${name}.pem`));
const only = (version: Version): tls.SecureContextOptions => ({
  ...{ minVersion: version, maxVersion: version, ciphers: ANY_CIPHER },
});

/** A server that starts TLS in one version and notes the options it gets before and after. */
class SecureServer implements AsyncDisposable {
  readonly path: string;
  readonly plainOptions: (readonly [number: number, lengthBytes: number])[] = [];
  readonly options: number[] = [];
  version: string | null = null;
  readonly #folder: TemporaryFolder;
  readonly #listener = createServer(socket => void this.#serve(socket).catch(() => socket.destroy()));
  readonly #versionOffered: Version;

  private constructor(folder: TemporaryFolder, version: Version) {
    this.#folder = folder;
    this.#versionOffered = version;
    this.path = folder.file('socket');
  }

  static async start(version: Version): Promise<SecureServer> {
    const server = new SecureServer(await TemporaryFolder.create('memory'), version);
    await once(server.#listener.listen(server.path), 'listening');
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#folder[Symbol.asyncDispose]();
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => {});
    socket.write(Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), u16(3)]));
    const said = await exactly(socket, 4 + 16);
    this.plainOptions.push([said.readUInt32BE(12), said.readUInt32BE(16)]);
    socket.write(optionReply(OPT.STARTTLS, REP.ACK));
    const secure = await this.#secure(socket);
    this.version = secure.getProtocol();
    await this.#haggle(new ScriptedPeer(secure, Number.POSITIVE_INFINITY));
  }

  async #secure(socket: Socket): Promise<tls.TLSSocket> {
    const secured = deferred<tls.TLSSocket>();
    const credentials = { cert: await pem('server-cert'), key: await pem('server-key') };
    const server = tls.createServer({ ...credentials, ...only(this.#versionOffered) }, secured.resolve);
    server.on('tlsClientError', secured.reject);
    server.emit('connection', socket);
    return await secured.promise;
  }

  async #haggle(peer: ScriptedPeer): Promise<void> {
    for (;;) {
      const header = await peer.read(16);
      const number = header.readUInt32BE(8);
      await peer.read(header.readUInt32BE(12));
      this.options.push(number);
      if (number === OPT.GO) {
        peer.write(optionReply(number, REP.INFO, Buffer.concat([u16(0), u64(4096), u16(1)])));
        peer.write(optionReply(number, REP.ACK));
        // The client's goodbye.
        await peer.read(28);
        peer.end();
        return;
      }
      peer.write(optionReply(number, number === OPT.EXTENDED_HEADERS ? REP.ERR_UNSUP : REP.ACK));
    }
  }
}

function optionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const head = [Buffer.from('0003e889045565a9', 'hex'), u32(option), u32(type), u32(data.length)];
  return Buffer.concat([...head, data]);
}

/** The next `bytes` of a socket that nobody else reads. */
async function exactly(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const read: Buffer | null = socket.read(bytes);
    if (read !== null) return read;
    await once(socket, 'readable');
  }
}

function connect(path: string): Promise<NbdClient> {
  const authority = { certificates: files.directory };
  return NbdClient.connect({ address: { kind: 'unix', path }, exportName: 'disk', tls: authority });
}

test('STARTTLS comes first and without data, and everything is negotiated after it [tls-client.6] [starttls.1] [starttls.4] [structured-reply-option.7] [ext-option.11]', async () => {
  await using server = await SecureServer.start('TLSv1.3');
  await using client = await connect(server.path);
  assert.deepEqual(server.plainOptions, [[OPT.STARTTLS, 0]]);
  const { EXTENDED_HEADERS, STRUCTURED_REPLY, SET_META_CONTEXT, GO } = OPT;
  assert.deepEqual(server.options, [EXTENDED_HEADERS, STRUCTURED_REPLY, SET_META_CONTEXT, GO]);
  assert.deepEqual([client.features.tls, client.features.replies], [true, 'structured']);
});

for (const version of VERSIONS) {
  const isSafe = version !== 'TLSv1.1';
  test(`${version} is ${isSafe ? 'spoken' : 'refused'} by the client [tls-versions.1] [tls-versions.2] [tls-versions.3]`, async () => {
    await using server = await SecureServer.start(version);
    if (isSafe) {
      await (await connect(server.path)).close();
      assert.equal(server.version, version);
    } else {
      await assert.rejects(connect(server.path), (error: unknown) => {
        return error instanceof ColobusError && /TLS handshake with the server failed/.test(error.message);
      });
    }
  });

  test(`${version} is ${isSafe ? 'spoken' : 'refused'} by the server [tls-versions.1] [tls-versions.2] [tls-versions.3]`, async () => {
    const credentials = await loadX509Directory(files.directory, { endpoint: 'server', verifyPeer: false });
    await using disk = await ServedDisk.open({ server: { tls: { mode: 'require', credentials } } });
    const client = await disk.connect();
    await client.read(18);
    client.send(u32(3));
    assert.equal((await client.haggle(OPT.STARTTLS)).at(-1)?.type, REP.ACK);
    client.socket.removeAllListeners('data');
    const secure = tls.connect({
      ...{ socket: client.socket, ca: await pem('ca-cert'), servername: 'localhost' },
      ...only(version),
    });
    if (isSafe) {
      await once(secure, 'secureConnect');
      assert.equal(secure.getProtocol(), version);
    } else {
      await assert.rejects(once(secure, 'secureConnect'), /protocol version|EPROTO|disconnected/i);
    }
    secure.destroy();
  });
}
