import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { NbdPeer } from '../support/nbd-peer.ts';
import { Program, type ProgramEnd } from '../support/program.ts';
import { TlsFiles } from '../support/tls-files.ts';

const MIB = 1024 * 1024;

async function makeImage(path: string): Promise<void> {
  const image = await open(path, 'w');
  await image.truncate(8 * MIB);
  await image.write(Buffer.alloc(MIB, 'disk'), 0, MIB, 2 * MIB);
  await image.close();
}

async function info(...args: readonly string[]): Promise<ProgramEnd> {
  await using program = Program.colobus(['info', ...args]);
  return await program.ended();
}

describe('colobus info', () => {
  let peer: NbdPeer;
  beforeEach(async () => {
    peer = await NbdPeer.qemuNbd(makeImage, '-r', '-x', 'disk', '-D', 'on\x1b[2Jly');
  });
  afterEach(() => peer[Symbol.asyncDispose]());

  it('shows an export at a glance, and nothing that a terminal would obey', async () => {
    const uri = peer.uri('disk');
    assert.deepEqual(await info(uri), {
      exitCode: 0,
      stdout: [
        uri,
        '  export      "disk" (on [2Jly)',
        '  size        8 MiB (8388608 bytes)',
        '  content     data',
        '  access      read-only',
        '  can         flush, fua, cache, df',
        '  cannot      trim, zero, fast-zero, multi-conn',
        '  block size  1 B to 32 MiB, best 4 KiB',
        '  contexts    base:allocation',
        '  server      newstyle-fixed, no TLS, structured replies',
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  it('prints the size alone, the map with or without its context named, and the list', async () => {
    const uri = peer.uri('disk');
    const map =
      '           0       2097152    3  hole,zero\n' +
      '     2097152       1048576    0  data\n' +
      '     3145728       5242880    3  hole,zero\n';
    const wanted: readonly (readonly [args: readonly string[], stdout: string])[] = [
      [['--size', uri], '8388608\n'],
      [['--map', uri], map],
      [['--map=base:allocation', uri], map],
    ];
    for (const [args, stdout] of wanted) assert.deepEqual(await info(...args), { exitCode: 0, stdout, stderr: '' });
    const list = await info('--list', peer.uri('none'));
    assert.match(list.stdout, /^nbd\+unix:\/\/\/disk\?.*\n {2}export {6}"disk"/);
  });

  it('fails with one line that says what to do', async () => {
    const uri = peer.uri('disk');
    const refused: readonly (readonly [args: readonly string[], exitCode: number, says: RegExp])[] = [
      [[], 2, /Missing required argument 'uri'/],
      [['disk.img'], 2, /'disk\.img' is not an NBD URI/],
      [['--tls-psk', 'keys', uri], 2, /write nbds:\/\//],
      [[peer.uri('none')], 1, /The server has no export 'none'.*check the name/],
      [['--map=none:such', uri], 1, /no metadata context 'none:such'/],
      [['nbd+unix:///?socket=/none/such'], 1, /no such socket/],
    ];
    for (const [args, wanted, says] of refused) {
      const { exitCode, stdout, stderr } = await info(...args);
      assert.deepEqual({ exitCode, stdout }, { exitCode: wanted, stdout: '' });
      assert.match(stderr, /^colobus: [^\n]+, [^\n]+, [^\n]+\n$/);
      assert.match(stderr, says);
    }
  });
});

it('colobus info takes credentials from options where the URI asks for TLS', async () => {
  await using files = await TlsFiles.create();
  await using server = await NbdPeer.nbdkit('--tls=require', `--tls-certificates=${files.directory}`, 'memory', '1M');
  const uri = `nbds+unix:///?socket=${server.socket}`;
  assert.equal((await info('--size', '--tls-certificates', files.directory, uri)).stdout, '1048576\n');
  const other = await info('--size', '--tls-certificates', files.directory, '--tls-hostname', 'elsewhere.example', uri);
  assert.equal(other.exitCode, 1);
  await using keyed = await NbdPeer.nbdkit('--tls=require', `--tls-psk=${files.keys}`, 'memory', '1M');
  const alice = `nbds+unix://alice@/?socket=${keyed.socket}`;
  assert.equal((await info('--size', '--tls-psk', files.keys, alice)).stdout, '1048576\n');
});
