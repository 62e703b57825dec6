/** The NBD client over TLS, with nbdkit and qemu-nbd, which use GnuTLS. */

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { ColobusError, ProtocolError } from '../../src/base/errors.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import * as wire from '../../src/nbd/protocol/constants.ts';
import { encodeGreeting, GREETING_BYTES } from '../../src/nbd/protocol/greeting.ts';
import { NbdPeer } from '../support/nbd-peer.ts';
import { ScriptedNbdServer } from '../support/scripted-nbd-server.ts';
import { TlsFiles } from '../support/tls-files.ts';

const MIB = 1024 * 1024;

let files: TlsFiles;
before(async () => {
  files = await TlsFiles.create();
});
after(() => files[Symbol.asyncDispose]());

const certificates = (): string => `tls-certificates=${files.directory}`;
const alice = (): string => `tls-psk-file=${files.keys}&tls-username=alice`;
const nbdsUri = (server: { readonly socket: string }, parameters: string, exportName = ''): string =>
  `nbds+unix:///${exportName}?socket=${server.socket}&${parameters}`;

async function emptyImage(path: string): Promise<void> {
  const image = await open(path, 'w');
  await image.truncate(16 * MIB);
  await image.close();
}

async function useDisk(client: NbdClient): Promise<void> {
  assert.equal(client.features.tls, true);
  const blocks = Array.from({ length: 4 }, (_, index) => Buffer.alloc(MIB, index + 1));
  await Promise.all(blocks.map((block, index) => client.write(index * MIB, block)));
  await client.flush();
  const read = await Promise.all(blocks.map((_, index) => client.read(index * MIB, MIB)));
  assert.ok(read.every((bytes, index) => bytes.equals(blocks[index] as Buffer)));
}

const nbdkit = (...args: readonly string[]): Promise<NbdPeer> => NbdPeer.nbdkit(...args, 'memory', '16M');

for (const [what, start, parameters, exportName = ''] of [
  ['nbdkit with certificates', () => nbdkit('--tls=require', `--tls-certificates=${files.directory}`), certificates],
  [
    'nbdkit that verifies the client',
    () => nbdkit('--tls=require', '--tls-verify-peer', `--tls-certificates=${files.directory}`),
    certificates,
  ],
  ['nbdkit with keys', () => nbdkit('--tls=require', `--tls-psk=${files.keys}`), alice],
  [
    'qemu-nbd with certificates',
    () =>
      NbdPeer.qemuNbd(
        emptyImage,
        '--object',
        `tls-creds-x509,id=tls0,endpoint=server,verify-peer=on,dir=${files.directory}`,
        '--tls-creds=tls0',
      ),
    certificates,
  ],
  [
    'qemu-nbd with keys',
    () =>
      NbdPeer.qemuNbd(
        emptyImage,
        ...['--object', `tls-creds-psk,id=tls0,endpoint=server,dir=${dirname(files.keys)}`, '--tls-creds=tls0'],
      ),
    alice,
  ],
  [
    'nbd-server with certificates',
    () =>
      NbdPeer.nbdServer(
        emptyImage,
        ['flush = true'],
        [
          'force_tls = true',
          `certfile = ${files.directory}/server-cert.pem`,
          `keyfile = ${files.directory}/server-key.pem`,
          `cacertfile = ${files.directory}/ca-cert.pem`,
        ],
      ),
    certificates,
    'disk',
  ],
] as const) {
  test(`reads and writes go through TLS with ${what}`, async () => {
    await using peer = await start();
    await using client = await NbdClient.connect(nbdsUri(peer, parameters(), exportName));
    await useDisk(client);
  });
}

test('a server that takes TLS clients only tells one in the clear what to do', async () => {
  await using peer = await nbdkit('--tls=require', `--tls-psk=${files.keys}`);
  await assert.rejects(NbdClient.connect(peer.uri()), error => {
    return error instanceof ColobusError && /over TLS only.*nbds:\/\//.test(error.message);
  });
});

test('the certificate must name the host that is asked for (CVE-2024-7383)', async () => {
  await using peer = await nbdkit('--tls=require', `--tls-certificates=${files.otherHost}`);
  await assert.rejects(
    NbdClient.connect(nbdsUri(peer, `${certificates()}&tls-hostname=localhost`)),
    /elsewhere\.example/,
  );
  await using named = await NbdClient.connect(nbdsUri(peer, `${certificates()}&tls-hostname=elsewhere.example`));
  assert.equal(named.features.tls, true);
});

test('a certificate of a stranger is refused unless verification is turned off', async () => {
  await using peer = await nbdkit('--tls=require', `--tls-certificates=${files.stranger}`);
  await assert.rejects(NbdClient.connect(nbdsUri(peer, certificates())), /TLS handshake with the server failed/);
  await using client = await NbdClient.connect(nbdsUri(peer, `${certificates()}&tls-verify-peer=false`));
  assert.equal(client.features.tls, true);
});

test('a key that the server does not know is refused', async () => {
  await using peer = await nbdkit('--tls=require', `--tls-psk=${files.keys}`);
  await assert.rejects(NbdClient.connect(nbdsUri(peer, certificates())), /TLS handshake with the server failed/);
  await assert.rejects(NbdClient.connect(nbdsUri(peer, `tls-psk-file=${files.keys}&tls-username=carol`)), /carol/);
});

for (const [what, args] of [
  ['without TLS', []],
  ['of the newstyle without options', ['--mask-handshake=0']],
  ['of the oldstyle', ['--oldstyle']],
] as const) {
  test(`a server ${what} is not used in the clear where TLS was asked for (CVE-2019-14842)`, async () => {
    await using peer = await nbdkit(...args);
    await assert.rejects(NbdClient.connect(nbdsUri(peer, alice())), error => {
      return error instanceof ColobusError && /offers no TLS|too old for TLS/.test(error.message);
    });
  });
}

for (const [what, type, data, told] of [
  ['refuses TLS by policy', wire.NBD_REP_ERR_POLICY, '', /offers no TLS/],
  ['answers with an unknown error', 0x80001234, '', /offers no TLS/],
  ['sends data with its consent', wire.NBD_REP_ACK, 'x', /carries data/],
  ['answers with something else', wire.NBD_REP_SERVER, '', /reply of type 2/],
] as const) {
  test(`a server that ${what} hears nothing more in the clear`, async () => {
    const options: number[] = [];
    await using server = await ScriptedNbdServer.start(async peer => {
      const greeting = Buffer.alloc(GREETING_BYTES);
      encodeGreeting(greeting, 0, wire.NBD_FLAG_FIXED_NEWSTYLE | wire.NBD_FLAG_NO_ZEROES);
      peer.write(greeting);
      await peer.read(4);
      for (;;) {
        const header = await peer.read(16);
        await peer.read(header.readUInt32BE(12));
        options.push(header.readUInt32BE(8));
        peer.reply(header.readUInt32BE(8), type, Buffer.from(data));
      }
    });
    await assert.rejects(NbdClient.connect(nbdsUri(server, alice())), told);
    assert.deepEqual(options, [wire.NBD_OPT_STARTTLS]);
  });
}

test('bytes in the clear behind the consent to TLS are a protocol error (CVE-2021-3716)', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    const greeting = Buffer.alloc(GREETING_BYTES);
    encodeGreeting(greeting, 0, wire.NBD_FLAG_FIXED_NEWSTYLE | wire.NBD_FLAG_NO_ZEROES);
    peer.write(greeting);
    await peer.read(4 + 16);
    const consent = Buffer.from('0003e889045565a9 00000005 00000001 00000000'.replaceAll(' ', ''), 'hex');
    peer.write(Buffer.concat([consent, Buffer.from('injected')]));
  });
  await assert.rejects(NbdClient.connect(nbdsUri(server, alice())), error => {
    return error instanceof ProtocolError && /in the clear/.test(error.message);
  });
});

test('a server that falls silent or leaves during the TLS handshake is given up', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    const greeting = Buffer.alloc(GREETING_BYTES);
    encodeGreeting(greeting, 0, wire.NBD_FLAG_FIXED_NEWSTYLE | wire.NBD_FLAG_NO_ZEROES);
    peer.write(greeting);
    await peer.read(4 + 16);
    peer.reply(wire.NBD_OPT_STARTTLS, wire.NBD_REP_ACK);
    await peer.read(1);
  });
  const uri = nbdsUri(server, alice());
  await assert.rejects(NbdClient.connect(uri, { openTimeoutMs: 300 }), /did not finish the handshake within 300 ms/);
  server.cutAfter = GREETING_BYTES + 20;
  await assert.rejects(NbdClient.connect(uri), ColobusError);
});
