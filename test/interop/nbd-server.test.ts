/** The NBD server against the clients of libnbd, QEMU and fio. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { EINVAL, ENOSPC, EPERM } from '../../src/base/errno.ts';
import { BlockGraph } from '../../src/block/index.ts';
import { memoryDriver } from '../../src/drivers/memory/memory-node.ts';
import { type NbdAddress, NbdExport, NbdServer, type NbdServerOptions } from '../../src/nbd/server/index.ts';
import { Program } from '../support/program.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
/** Not a multiple of a page, so that the tail counts. */
const SIZE = 32 * MIB + 512;

type Options = { readonly writable?: boolean; readonly tcp?: boolean; readonly server?: NbdServerOptions };

/** A memory disk on a server of its own. */
class MemoryExport implements AsyncDisposable {
  readonly uri: string;
  readonly folder: TemporaryFolder;
  readonly #parts: readonly AsyncDisposable[];

  private constructor(uri: string, folder: TemporaryFolder, parts: readonly AsyncDisposable[]) {
    this.uri = uri;
    this.folder = folder;
    this.#parts = parts;
  }

  static async open(options: Options = {}): Promise<MemoryExport> {
    const folder = await TemporaryFolder.create('memory');
    const graph = new BlockGraph({ drivers: [memoryDriver] });
    const node = await graph.add({ driver: 'memory', 'node-name': 'disk', size: SIZE });
    const address: NbdAddress = options.tcp ? { host: '127.0.0.1', port: 0 } : { path: folder.file('socket') };
    const server = await NbdServer.listen(address, options.server);
    const writable = options.writable ?? true;
    const nbdExport = NbdExport.open({ id: 'e', name: 'disk', description: 'A disk', node, writable });
    server.addExport(nbdExport);
    return new MemoryExport(server.uri('disk'), folder, [server, nbdExport, graph, folder]);
  }

  /** A file of SIZE bytes with data, zeroes and data in its last sector. */
  async image(): Promise<string> {
    const content = Buffer.alloc(SIZE);
    for (let at = MIB; at < 9 * MIB; at += 4) content.writeUInt32LE((at * 2654435761) >>> 0, at);
    content.fill('tail', SIZE - 512);
    const path = this.folder.file('image');
    await writeFile(path, content);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts) await part[Symbol.asyncDispose]();
  }
}

/** Runs a program to its end and gives its output. */
async function run(file: string, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await Program.start(file, args).ended();
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Runs a script with libnbd's handle `h` connected to `uri`, free to send what the protocol forbids. */
async function libnbd(uri: string, script: string, beforeConnecting = ''): Promise<string> {
  const prelude = `
import errno, nbd
h = nbd.NBD()
h.set_strict_mode(0)
h.add_meta_context('base:allocation')
${beforeConnecting}
h.connect_uri('${uri}')
def error_of(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except nbd.Error as error:
        return error.errnum
    return 0
`;
  return await run('/usr/bin/python3', '-c', `${prelude}${script}`);
}

test('nbdinfo sees name, size, flags, block sizes and contexts', async () => {
  await using disk = await MemoryExport.open();
  const { protocol, structured, exports } = JSON.parse(await run('nbdinfo', '--json', disk.uri));
  assert.deepEqual([protocol, structured, exports.length], ['newstyle-fixed', true, 1]);
  const [{ content, uri, ...rest }] = exports;
  assert.ok(typeof content === 'string' && typeof uri === 'string');
  assert.deepEqual(rest, {
    'export-name': 'disk',
    description: 'A disk',
    contexts: ['base:allocation'],
    is_rotational: false,
    is_read_only: false,
    can_cache: true,
    can_df: true,
    can_fast_zero: true,
    can_flush: true,
    can_fua: true,
    can_multi_conn: true,
    can_trim: true,
    can_zero: true,
    block_size_minimum: 1,
    block_size_preferred: 4096,
    block_size_maximum: 33554432,
    'export-size': SIZE,
    ...('export-size-str' in rest ? { 'export-size-str': rest['export-size-str'] } : {}),
  });
});

test('nbdinfo lists the exports', async () => {
  await using disk = await MemoryExport.open({ tcp: true });
  const { exports } = JSON.parse(await run('nbdinfo', '--list', '--json', disk.uri));
  assert.deepEqual(
    exports.map((listed: Record<string, unknown>) => listed['export-name']),
    ['disk'],
  );
});

test('nbdcopy copies an image in and out over several connections, and its map is right', async () => {
  await using disk = await MemoryExport.open();
  const image = await disk.image();
  const copy = disk.folder.file('copy');
  await run('nbdcopy', '--connections=4', '--flush', image, disk.uri);
  await run('nbdcopy', '--connections=4', disk.uri, copy);
  assert.ok((await readFile(copy)).equals(await readFile(image)));
  const map: readonly { offset: number; length: number; type: number }[] = JSON.parse(
    await run('nbdinfo', '--map', '--json', disk.uri),
  );
  assert.deepEqual(
    map.map(({ offset, length, type }) => [offset, length, type]),
    [
      [0, MIB, 3],
      [MIB, 8 * MIB, 0],
      [9 * MIB, 23 * MIB, 3],
      [32 * MIB, 512, 0],
    ],
  );
});

test('qemu-img copies, compares and maps', async () => {
  await using disk = await MemoryExport.open();
  const image = await disk.image();
  const raw = ['-f', 'raw'];
  await run('qemu-img', 'convert', '-n', ...raw, '-O', 'raw', image, disk.uri);
  assert.match(await run('qemu-img', 'compare', ...raw, '-F', 'raw', image, disk.uri), /Images are identical/);
  const { 'virtual-size': size } = JSON.parse(await run('qemu-img', 'info', '--output=json', ...raw, disk.uri));
  assert.equal(size, SIZE);
  const map: readonly { start: number; data: boolean }[] = JSON.parse(
    await run('qemu-img', 'map', '--output=json', ...raw, disk.uri),
  );
  assert.deepEqual(
    map.map(({ start, data }) => [start, data]),
    [
      [0, false],
      [MIB, true],
      [9 * MIB, false],
      [32 * MIB, true],
    ],
  );
});

test('qemu-io writes, reads back, discards and zeroes', async () => {
  await using disk = await MemoryExport.open();
  const commands = [
    'write -P 7 512 1M',
    'read -P 7 512 1M',
    'write -f -P 8 0 512',
    'write -z 64k 64k',
    'read -P 0 64k 64k',
    'write -z -u 128k 64k',
    'read -P 0 128k 64k',
    'discard 256k 64k',
    'flush',
    'read -P 8 0 512',
    'read -P 7 192k 64k',
  ];
  const output = await run('qemu-io', '-f', 'raw', ...commands.flatMap(command => ['-c', command]), disk.uri);
  assert.doesNotMatch(output, /fail|error/i);
  assert.equal(output.match(/^(?:wrote|read|discard) /gm)?.length, commands.length - 1);
});

for (const [how, options] of [
  ['over a unix socket', {}],
  ['over TCP', { tcp: true }],
  ['with bytes received as events', { server: { receiveMode: 'copy' } }],
] satisfies [string, Options][]) {
  test(`fio verifies what it wrote at depth 32 in blocks of many sizes ${how}`, async () => {
    await using disk = await MemoryExport.open(options);
    await run(
      'fio',
      ...[
        '--name=verify',
        '--ioengine=nbd',
        `--uri=${disk.uri}`,
        '--rw=randrw',
        '--bsrange=512-512k',
        '--bs_unaligned',
      ],
      ...[
        '--iodepth=32',
        '--size=32M',
        '--verify=crc32c',
        '--verify_fatal=1',
        '--do_verify=1',
        '--verify_state_save=0',
      ],
    );
  });
}

test('what the protocol forbids is refused with the right errors, and the connection goes on', async () => {
  await using disk = await MemoryExport.open();
  const script = `
size = h.get_size()
extents = lambda context, offset, entries, error: 0
print([
    error_of(h.pwrite, b'12', size - 1),
    error_of(h.zero, 2, size - 1),
    error_of(h.pread, 2, size - 1),
    error_of(h.trim, 2, size - 1),
    error_of(h.cache, 2, size - 1),
    error_of(h.block_status, 2, size - 1, extents),
    error_of(h.pread, 512, 0x7ffffffffffffe00),
    error_of(h.pread, 512, 0, flags=0x80),
    error_of(h.pwrite, b'1', 0, flags=nbd.CMD_FLAG_DF),
    error_of(h.trim, 512, 0, flags=nbd.CMD_FLAG_NO_HOLE),
    error_of(h.pread, 32 * 1024 * 1024 + 1, 0),
    error_of(h.pwrite, bytearray(32 * 1024 * 1024 + 1), 0),
])
print([
    error_of(h.pread, 512, 0, flags=nbd.CMD_FLAG_FUA),
    error_of(h.flush, flags=nbd.CMD_FLAG_FUA),
    error_of(h.pread, 1, size - 1),
    error_of(h.pwrite, b'1', size - 1, flags=nbd.CMD_FLAG_FUA),
    error_of(h.zero, 512, 0, flags=nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA),
    error_of(h.trim, 512, 0, flags=nbd.CMD_FLAG_FUA),
    error_of(h.block_status, size, 0, extents, flags=nbd.CMD_FLAG_REQ_ONE),
    error_of(h.pwrite, bytearray(32 * 1024 * 1024), 0),
])
h.shutdown()
`;
  const [refused, accepted] = (await libnbd(disk.uri, script)).trim().split('\n');
  const rest = [EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EINVAL];
  assert.equal(refused, `[${[ENOSPC, ENOSPC, ...rest].join(', ')}]`);
  assert.equal(accepted, '[0, 0, 0, 0, 0, 0, 0, 0]');
});

test('requests of length 0 succeed, with structured replies and without', async () => {
  await using disk = await MemoryExport.open();
  const script = `
for offset in [0, h.get_size()]:
    print([
        error_of(h.pread, 0, offset),
        error_of(h.pwrite, b'', offset),
        error_of(h.zero, 0, offset),
        error_of(h.trim, 0, offset),
        error_of(h.cache, 0, offset),
    ])
h.shutdown()
`;
  for (const setting of ['', 'h.set_request_structured_replies(False)']) {
    assert.equal(await libnbd(disk.uri, script, setting), '[0, 0, 0, 0, 0]\n'.repeat(2));
  }
});

test('a read-only export is read, and refuses what would change it', async () => {
  await using disk = await MemoryExport.open({ writable: false });
  const script = `
print(h.is_read_only(), [
    error_of(h.pread, 512, 0),
    error_of(h.pwrite, b'1', 0),
    error_of(h.zero, 512, 0),
    error_of(h.trim, 512, 0),
    error_of(h.flush),
])
h.shutdown()
`;
  assert.equal(await libnbd(disk.uri, script), `True [0, ${EPERM}, ${EPERM}, ${EPERM}, 0]\n`);
});

test('clients that negotiate with EXPORT_NAME alone are served', async () => {
  await using disk = await MemoryExport.open();
  for (const flags of ['0', 'nbd.HANDSHAKE_FLAG_FIXED_NEWSTYLE', 'nbd.HANDSHAKE_FLAG_NO_ZEROES']) {
    const setting = `h.set_handshake_flags(${flags})`;
    assert.equal(await libnbd(disk.uri, 'print(h.get_size(), error_of(h.pread, 512, 0))', setting), `${SIZE} 0\n`);
  }
});
