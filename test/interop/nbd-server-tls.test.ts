/** The NBD server's TLS against GnuTLS: the clients of libnbd and QEMU. */

import assert from 'node:assert/strict';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Daemon } from '../support/daemon.ts';
import { Program, type ProgramEnd } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { TlsFiles } from '../support/tls-files.ts';

const SIZE = 8 * 1024 * 1024 + 512;

let files: TlsFiles;
let folder: TemporaryFolder;
before(async () => {
  files = await TlsFiles.create();
  folder = await TemporaryFolder.create('memory');
});
after(async () => {
  await files[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

let images = 0;

/** A file with data at both ends and a hole between. */
async function makeImage(): Promise<string> {
  const path = folder.file(`image-${images++}`);
  await writeFile(path, Buffer.alloc(1024 * 1024, 'content of the disk '));
  await truncate(path, SIZE);
  return path;
}

/** Serves `image` with `args`; gives the program and the URI it printed. */
async function serve(image: string, ...args: readonly string[]): Promise<{ program: Program; uri: string }> {
  const program = Program.colobus(['serve', '--port', '0', '--export', 'disk', ...args, image]);
  return { program, uri: await program.firstLine() };
}

const run = (file: string, ...args: readonly string[]): Promise<ProgramEnd> => Program.start(file, args).ended();

async function succeed(file: string, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(file, ...args);
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function fail(told: RegExp, file: string, ...args: readonly string[]): Promise<void> {
  const { exitCode, stderr } = await run(file, ...args);
  assert.notEqual(exitCode, 0);
  assert.match(stderr, told);
}

/** The port of a URI that the server printed. */
const portOf = (uri: string): string => new URL(uri.replace(/^nbds?/, 'http')).port;
const certificates = (directory: string): string => `tls-certificates=${encodeURIComponent(directory)}`;

test('with a key, libnbd reads and writes over TLS 1.3', async () => {
  const image = await makeImage();
  const { program, uri } = await serve(image, '--tls', 'require', '--tls-psk', files.keys);
  await using _server = program;
  const secure = `nbds://alice@127.0.0.1:${portOf(uri)}/disk?tls-psk-file=${files.keys}`;
  const info = JSON.parse(await succeed('nbdinfo', '--json', secure));
  assert.deepEqual([info.TLS, info.structured, info.exports[0]['export-size']], [true, true, SIZE]);
  const copy = folder.file('copy');
  await succeed('nbdcopy', secure, copy);
  assert.ok((await readFile(copy)).equals(await readFile(image)));
  const other = folder.file('other');
  await writeFile(other, Buffer.alloc(SIZE, 'another disk '));
  await succeed('nbdcopy', other, secure);
  assert.ok((await readFile(image)).equals(await readFile(other)));
  await fail(/TLS|not supported|handshake/i, 'nbdinfo', uri.replace('nbds:', 'nbd:'));
  await fail(/TLS|PSK|handshake|key/i, 'nbdinfo', secure.replace('alice', 'mallory'));
});

test('with certificates, libnbd checks the server and the server the client', async () => {
  const options = ['--tls', 'require', '--tls-certificates', files.directory, '--tls-verify-peer'];
  const { program, uri } = await serve(await makeImage(), ...options);
  await using _server = program;
  assert.match(uri, /^nbds:/);
  const at = `nbds://localhost:${portOf(uri)}/disk`;
  assert.equal((await succeed('nbdinfo', '--size', `${at}?${certificates(files.directory)}`)).trim(), String(SIZE));
  await fail(/certificate|verif/i, 'nbdinfo', `${at}?${certificates(files.stranger)}`);
  await fail(/./, 'nbdinfo', `${at}?${certificates(files.stranger)}&tls-verify-peer=false`);
});

test('libnbd refuses a server whose certificate names another host', async () => {
  const { program, uri } = await serve(await makeImage(), '--tls', 'require', '--tls-certificates', files.otherHost);
  await using _server = program;
  const parameters = certificates(files.directory);
  await fail(/hostname|certificate|verif/i, 'nbdinfo', `nbds://localhost:${portOf(uri)}/disk?${parameters}`);
});

test('a server that allows TLS serves clients with and without it, one that is off refuses it', async () => {
  const image = await makeImage();
  {
    const { program, uri } = await serve(image, '--tls', 'allow', '--tls-psk', files.keys);
    await using _server = program;
    assert.match(uri, /^nbd:/);
    const secure = uri.replace('nbd://', 'nbds://bob@');
    const infos = [uri, `${secure}?tls-psk-file=${files.keys}`].map(
      async at => JSON.parse(await succeed('nbdinfo', '--json', at)).TLS,
    );
    assert.deepEqual(await Promise.all(infos), [false, true]);
  }
  const { program, uri } = await serve(image);
  await using _server = program;
  const secure = uri.replace('nbd://', 'nbds://bob@');
  await fail(/TLS|connection is closed/, 'nbdinfo', `${secure}?tls-psk-file=${files.keys}`);
});

test('the payload of a refused write is drained through GnuTLS, and the connection goes on', async () => {
  const { program, uri } = await serve(await makeImage(), '--tls', 'require', '--tls-psk', files.keys);
  await using _server = program;
  const script = `
h.set_strict_mode(0)
h.set_uri_allow_local_file(True)
h.connect_uri("nbds://alice@127.0.0.1:${portOf(uri)}/disk?tls-psk-file=${files.keys}")
import errno
try:
    h.pwrite(b"x" * 3000000, h.get_size() - 512)
    print("stored")
except nbd.Error as error:
    print(errno.errorcode[error.errnum])
h.pwrite(b"y" * 512, 0)
print(bytes(h.pread(512, 0)) == b"y" * 512)
`;
  assert.equal(await succeed('/usr/bin/python3', '-m', 'nbd', '-c', script), 'ENOSPC\nTrue\n');
});

test('QEMU connects to a daemon whose NBD server has credentials from object-add', async () => {
  const keyDirectory = join(files.keys, '..');
  await using daemon = await Daemon.start({
    directory: folder.path,
    name: 'tls',
    args: [
      ...['--object', `tls-creds-x509,id=tls0,dir=${files.directory},endpoint=server,verify-peer=on`],
      ...['--blockdev', `driver=memory,node-name=disk,size=${8 * 1024 * 1024}`],
      ...['--nbd-server', 'addr.type=inet,addr.host=127.0.0.1,addr.port=0,tls-creds=tls0'],
    ],
  });
  await daemon.qmp.execute('nbd-server-stop');
  await daemon.qmp.execute('object-add', {
    'qom-type': 'tls-creds-psk',
    id: 'psk0',
    dir: keyDirectory,
    endpoint: 'server',
  });
  const socket = folder.file('tls.nbd');
  const exportDisk = { type: 'nbd', id: 'e', 'node-name': 'disk', writable: true };
  const addr = { type: 'unix', data: { path: socket } };
  const writeAndRead = ['-c', 'write -P 5 0 8M', '-c', 'read -P 5 0 8M'];
  const connect = (...object: readonly string[]): Promise<string> =>
    succeed(
      'qemu-io',
      ...['--object', object.join(',')],
      ...['--image-opts', `driver=nbd,path=${socket},export=disk,tls-creds=c,tls-hostname=localhost`, ...writeAndRead],
    );
  await daemon.qmp.execute('nbd-server-start', { addr, 'tls-creds': 'tls0' });
  await daemon.qmp.execute('block-export-add', exportDisk);
  assert.match(await connect('tls-creds-x509', 'id=c', `dir=${files.directory}`, 'endpoint=client'), /read 8388608/);
  await daemon.qmp.execute('nbd-server-stop');
  await daemon.qmp.execute('nbd-server-start', { addr, 'tls-creds': 'psk0' });
  await daemon.qmp.execute('block-export-add', exportDisk);
  const psk = ['tls-creds-psk', 'id=c', `dir=${keyDirectory}`, 'endpoint=client', 'username=alice'];
  assert.match(await connect(...psk), /read 8388608/);
  await fail(/TLS/, 'qemu-img', 'info', `nbd+unix:///disk?socket=${socket}`);
  await daemon.qmp.execute('nbd-server-stop');
  await assert.rejects(
    daemon.qmp.execute('nbd-server-start', { addr, 'tls-creds': 'none' }),
    /No TLS credentials with id 'none'/,
  );
});

for (const [what, args, told] of [
  ['no credentials', ['--tls', 'require'], /--tls require needs credentials.*give --tls-certificates DIR or --tls-psk/],
  ['two kinds of credentials', ['--tls-psk', 'a', '--tls-certificates', 'b'], /excludes/],
  ['a client to verify by keys', ['--tls-psk', 'a', '--tls-verify-peer'], /--tls-certificates/],
  ['a directory without files', ['--tls-certificates', '/nonexistent'], /server-cert\.pem/],
  ['a mode that is none', ['--tls', 'maybe'], /allow/],
  ['standard output and a socket', ['--stdio', '--socket', 's'], /--stdio excludes/],
  ['a network that is none', ['--allow', '10.0.0.0/99'], /10\.0\.0\.0\/99/],
] as const) {
  test(`serve with ${what} is refused in one line`, async () => {
    const program = Program.colobus(['serve', await makeImage(), ...args]);
    const { exitCode, stdout, stderr } = await program.ended();
    assert.deepEqual([exitCode, stdout], [2, '']);
    assert.match(stderr, told);
    assert.match(stderr, /^colobus: [^\n]+\n$/);
  });
}
