/** `colobus info --json` beside `nbdinfo --json`: the same keys in the same order, and the same values. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type InfoOptions, infoOf } from '../../src/cli/info/info.ts';
import { parseNbdUri } from '../../src/nbd/uri.ts';
import { NbdPeer } from '../support/nbd-peer.ts';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';
import { TlsFiles } from '../support/tls-files.ts';

const MIB = 1024 * 1024;
const run = promisify(execFile);
/** What stands for the answer of a command that failed. */
const FAILED = 'failed';

type Told = { readonly exports: readonly object[] };

let tls: TlsFiles;
before(async () => {
  tls = await TlsFiles.create();
});
after(() => tls[Symbol.asyncDispose]());

/** 8 MiB with data in the third and an odd tail. */
async function makeImage(path: string): Promise<void> {
  const image = await open(path, 'w');
  await image.truncate(8 * MIB + 512);
  await image.write(Buffer.alloc(MIB, 'disk'), 0, MIB, 2 * MIB);
  await image.close();
}

async function makeQcow2(path: string): Promise<void> {
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '8M']);
  await run('qemu-img', ['bitmap', '--add', path, 'changed']);
  await run('qemu-io', ['-c', 'write -P 3 1M 64k', '-c', 'write -z 2M 1M', path]);
}

type Served = AsyncDisposable & { uri(exportName?: string): string };

async function colobusServe(...args: readonly string[]): Promise<Served> {
  const folder = await TemporaryFolder.create('memory');
  await makeImage(folder.file('disk.img'));
  const program = Program.colobus(['serve', folder.file('disk.img'), '--socket', folder.file('socket'), ...args]);
  const uri = await program.firstLine();
  return {
    uri: () => uri,
    async [Symbol.asyncDispose]() {
      await program[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** nbdkit with an image of `makeImage`, as its file plugin shows it. */
async function nbdkitFile(...args: readonly string[]): Promise<Served> {
  const folder = await TemporaryFolder.create('memory');
  await mkdir(folder.file('images'));
  await makeImage(join(folder.file('images'), 'disk'));
  const peer = await NbdPeer.nbdkit(...args, 'file', `dir=${folder.file('images')}`);
  return {
    uri: name => peer.uri(name),
    async [Symbol.asyncDispose]() {
      await peer[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const SERVERS: readonly (readonly [what: string, start: () => Promise<Served>, exportName: string])[] = [
  ['colobus serve', () => colobusServe('--export', 'a disk', '--description', 'the "only" one'), 'a disk'],
  ['colobus serve, read-only', () => colobusServe('--read-only'), ''],
  ['nbdkit with a folder', () => nbdkitFile(), 'disk'],
  ['nbdkit without structured replies', () => nbdkitFile('--no-sr'), 'disk'],
  ['nbdkit that names block sizes', () => blockSizes(), ''],
  ['nbdkit of the oldstyle', () => NbdPeer.nbdkit('--oldstyle', 'memory', '1000K'), ''],
  ['nbdkit of the newstyle without options', () => NbdPeer.nbdkit('--mask-handshake=0', 'memory', '1000K'), ''],
  ['nbdkit with an empty export', () => NbdPeer.nbdkit('memory', '0'), ''],
  ['qemu-nbd', () => NbdPeer.qemuNbd(makeImage, '-x', 'name', '-D', 'a description'), 'name'],
  ['qemu-nbd with allocation depth, read-only', () => NbdPeer.qemuNbd(makeImage, '-r', '--allocation-depth'), ''],
];

function blockSizes(): Promise<NbdPeer> {
  const sizes = ['blocksize-minimum=512', 'blocksize-preferred=64K', 'blocksize-maximum=1M'];
  return NbdPeer.nbdkit('--filter=blocksize-policy', 'memory', '1000M', ...sizes);
}

async function ours(uri: string, options: InfoOptions): Promise<unknown> {
  const output = await infoOf(parseNbdUri(uri), { ...options, json: true }).catch(() => null);
  return output === null ? FAILED : comparable(JSON.parse(output.text));
}

async function theirs(uri: string, args: readonly string[]): Promise<unknown> {
  await using program = Program.start('nbdinfo', [...args, '--json', uri]);
  const { exitCode, stdout } = await program.ended();
  return exitCode === 0 ? comparable(JSON.parse(stdout)) : FAILED;
}

/** URIs are alike where they mean the same. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'uri' ? parseNbdUri(String(inner)) : comparable(inner)]),
  );
}

const MODES: readonly (readonly [options: InfoOptions, args: readonly string[]])[] = [
  [{}, []],
  [{ list: true }, ['--list']],
  [{ map: true }, ['--map']],
  [{ size: true }, ['--size']],
];

async function assertAlike(uri: string, options: InfoOptions, args: readonly string[]): Promise<void> {
  const [actual, expected] = await Promise.all([ours(uri, options), theirs(uri, args)]);
  assert.deepEqual(actual, expected, args.join(' '));
  // The text too, by which the order of the keys is compared.
  assert.equal(JSON.stringify(actual), JSON.stringify(expected), args.join(' '));
}

for (const [what, start, exportName] of SERVERS) {
  test(`${what}: the export, the list, the map and the size are those of nbdinfo`, async () => {
    await using server = await start();
    for (const [options, args] of MODES) await assertAlike(server.uri(exportName), options, args);
  });
}

test('nbd-server: all but the size, which it tells only those who open the export', async () => {
  await using server = await NbdPeer.nbdServer(makeImage, []);
  const uri = server.uri('disk');
  const [actual, expected] = (await Promise.all([ours(uri, {}), theirs(uri, [])])) as readonly [Told, Told];
  const own = { 'export-size': 8 * MIB + 512, 'export-size-str': String(8 * MIB + 512), content: 'data' };
  assert.deepEqual(actual, { ...expected, exports: [{ ...expected.exports[0], ...own }] });
  assert.equal(await ours(uri, { size: true }), 8 * MIB + 512);
  await assertAlike(uri, { map: true }, ['--map']);
});

test('the maps of other contexts are those of nbdinfo, and so is the refusal of one that is not there', async () => {
  const context = 'qemu:dirty-bitmap:changed';
  await using peer = await NbdPeer.qemuNbd(makeQcow2, '--format', 'qcow2', '-A', '-B', 'changed', '-r');
  for (const map of [context, 'qemu:allocation-depth', 'base:allocation', 'none:such']) {
    await assertAlike(peer.uri(), { map }, [`--map=${map}`]);
  }
});

test('a server with certificates and one with keys are told of as nbdinfo does', async () => {
  await using keys = await NbdPeer.nbdkit('--tls=require', `--tls-psk=${tls.keys}`, 'memory', '1M');
  await assertAlike(`nbds+unix://alice@/?socket=${keys.socket}&tls-psk-file=${tls.keys}`, {}, []);
  await using certificates = await NbdPeer.nbdkit(
    '--tls=require',
    `--tls-certificates=${tls.directory}`,
    'memory',
    '1M',
  );
  await assertAlike(`nbds+unix:///?socket=${certificates.socket}&tls-certificates=${tls.directory}`, {}, []);
});
