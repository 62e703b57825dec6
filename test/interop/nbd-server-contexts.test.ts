/** The metadata contexts of the NBD server as nbdinfo reads them, and the ways of reaching it that need no address. */

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Daemon } from '../support/daemon.ts';
import { Program } from '../support/program.ts';
import { buildRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

async function succeed(file: string, ...args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await Program.start(file, args).ended();
  assert.equal(exitCode, 0, `${file} ${args.join(' ')}: ${stderr}`);
  return stdout;
}

type MapEntry = { readonly offset: number; readonly length: number; readonly type: number };

/** What nbdinfo shows of `context`, as [offset, length, status]. */
async function map(uri: string, context: string): Promise<[number, number, number][]> {
  const entries: readonly MapEntry[] = JSON.parse(await succeed('nbdinfo', `--map=${context}`, '--json', uri));
  return entries.map(({ offset, length, type }) => [offset, length, type]);
}

test('dirty bitmaps are added, shown, merged, cleared and removed while a guest writes', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const socket = folder.file('nbd');
  await using daemon = await Daemon.start({
    directory: folder.path,
    name: 'bitmaps',
    args: [
      ...[
        '--blockdev',
        `driver=memory,node-name=disk,size=${MIB}`,
        '--nbd-server',
        `addr.type=unix,addr.path=${socket}`,
      ],
      ...['--export', 'nbd,id=guest,node-name=disk,name=guest,writable=on'],
    ],
  });
  const { qmp } = daemon;
  const write = (at: string): Promise<string> =>
    succeed('qemu-io', '-f', 'raw', '-c', `write ${at} 512`, `nbd+unix:///guest?socket=${socket}`);
  await write('0');
  await qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'b0', granularity: 64 * KIB });
  await qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'b1', granularity: 4096 });
  await write('128k');
  const show = { type: 'nbd', 'node-name': 'disk', 'allocation-depth': true };
  await qmp.execute('block-export-add', {
    ...show,
    id: 'backup',
    name: 'backup',
    bitmaps: ['b0', { node: 'disk', name: 'b1' }],
  });
  const backup = `nbd+unix:///backup?socket=${socket}`;
  const info = JSON.parse(await succeed('nbdinfo', '--json', backup));
  assert.deepEqual(info.exports[0].contexts, [
    'base:allocation',
    'qemu:allocation-depth',
    'qemu:dirty-bitmap:b0',
    'qemu:dirty-bitmap:b1',
  ]);
  await write('512k');
  assert.deepEqual(await map(backup, 'qemu:dirty-bitmap:b0'), [
    [0, 128 * KIB, 0],
    [128 * KIB, 64 * KIB, 1],
    [192 * KIB, 320 * KIB, 0],
    [512 * KIB, 64 * KIB, 1],
    [576 * KIB, 448 * KIB, 0],
  ]);
  assert.equal((await map(backup, 'qemu:dirty-bitmap:b1'))[1]?.[1], 4096);
  assert.deepEqual(await map(backup, 'qemu:allocation-depth'), [[0, MIB, 1]]);
  const b0 = { node: 'disk', name: 'b0' };
  await assert.rejects(qmp.execute('block-dirty-bitmap-clear', b0), /in use/);
  await assert.rejects(qmp.execute('block-dirty-bitmap-remove', b0), /in use/);
  await qmp.execute('block-export-del', { id: 'backup', mode: 'hard' });
  await qmp.execute('block-dirty-bitmap-clear', b0);
  await qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'sum', disabled: true });
  await qmp.execute('block-dirty-bitmap-merge', { node: 'disk', target: 'sum', bitmaps: ['b0', b0, 'b1'] });
  await write('0');
  const nodes = (await qmp.execute('query-named-block-nodes')) as {
    'dirty-bitmaps': { name: string; count: number }[];
  }[];
  assert.deepEqual(
    nodes[0]?.['dirty-bitmaps'].map(({ name, count }) => [name, count]),
    [
      ['b0', 64 * KIB],
      ['b1', 3 * 4096],
      ['sum', 128 * KIB],
    ],
  );
  await qmp.execute('block-dirty-bitmap-remove', b0);
  await assert.rejects(qmp.execute('block-dirty-bitmap-remove', b0), /Dirty bitmap 'b0' not found/);
  for (const granularity of [256, 3000, 2 ** 32]) {
    await assert.rejects(qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'x', granularity }));
  }
  await assert.rejects(
    qmp.execute('block-export-add', { ...show, id: 'no', name: 'no', bitmaps: ['b0'] }),
    /Bitmap 'b0' is not found/,
  );
});

test('the COLO buffer and the depth of an overlay are shown chunk by chunk', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const socket = folder.file('nbd');
  await using daemon = await Daemon.start({
    directory: folder.path,
    name: 'contexts',
    args: [
      ...['--blockdev', `driver=memory,node-name=disk,size=${MIB}`],
      ...['--blockdev', 'driver=colo-buffer,node-name=buffer,backing=disk'],
      ...['--nbd-server', `addr.type=unix,addr.path=${socket}`],
      ...['--export', 'nbd,id=replica,node-name=disk,name=replica,writable=on'],
      ...['--export', 'nbd,id=view,node-name=buffer,name=view,writable=on,allocation-depth=on'],
    ],
  });
  await daemon.qmp.execute('replication-start', { nodes: ['buffer'] });
  const write = (name: string, at: string): Promise<string> =>
    succeed('qemu-io', '-f', 'raw', '-c', `write -P 7 ${at} 4k`, `nbd+unix:///${name}?socket=${socket}`);
  await write('replica', '8k');
  await write('view', '12k');
  await write('view', '64k');
  await write('replica', '64k');
  const view = `nbd+unix:///view?socket=${socket}`;
  assert.deepEqual(await map(view, 'colobus:buffer'), [
    [0, 8 * KIB, 0],
    [8 * KIB, 4 * KIB, 1],
    [12 * KIB, 4 * KIB, 2],
    [16 * KIB, 48 * KIB, 0],
    [64 * KIB, 4 * KIB, 2],
    [68 * KIB, MIB - 68 * KIB, 0],
  ]);
  assert.deepEqual(
    (await map(view, 'qemu:allocation-depth')).map(([, , depth]) => depth),
    [2, 1, 2, 1, 2],
  );
  await daemon.qmp.execute('replication-checkpoint-prepare', { nodes: ['buffer'], checkpoint: 1 });
  await daemon.qmp.execute('replication-checkpoint-do', { nodes: ['buffer'], checkpoint: 1 });
  assert.deepEqual(await map(view, 'colobus:buffer'), [[0, MIB, 0]]);
});

test('an overlay shows what was written to it at depth 1 and the rest at depth 2', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const socket = folder.file('nbd');
  await using _daemon = await Daemon.start({
    directory: folder.path,
    name: 'overlay',
    args: [
      ...['--blockdev', `driver=memory,node-name=disk,size=${MIB}`],
      ...['--blockdev', 'driver=overlay,node-name=top,backing=disk,storage=memory'],
      ...['--nbd-server', `addr.type=unix,addr.path=${socket}`],
      ...['--export', 'nbd,id=top,node-name=top,writable=on,allocation-depth=on'],
    ],
  });
  const uri = `nbd+unix:///top?socket=${socket}`;
  await succeed('qemu-io', '-f', 'raw', '-c', 'write 512k 64k', uri);
  const depths = await map(uri, 'qemu:allocation-depth');
  assert.deepEqual(
    depths.map(([, , depth]) => depth),
    [2, 1, 2],
  );
  assert.deepEqual(depths[1]?.slice(0, 2), [512 * KIB, 64 * KIB]);
});

/** The command line of `colobus serve`, for a client that starts it. */
const serving = (...args: readonly string[]): string[] => [
  ...[process.execPath, join(buildRoot, 'test/support/colobus-entry.js'), 'serve', ...args],
];

test('a client that starts serve --stdio is served over its sockets, and serve ends with it', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const image = folder.file('image');
  await writeFile(image, Buffer.alloc(MIB, 'disk'));
  const command = JSON.stringify(serving('--stdio', image));
  const script = `h.connect_command(${command}); h.pwrite(b"new" * 1000, 5); print(h.get_size()); h.shutdown()`;
  assert.equal(await succeed('/usr/bin/python3', '-m', 'nbd', '-c', script), `${MIB}\n`);
  assert.equal((await readFile(image)).toString('latin1', 0, 20), 'diskdnewnewnewnewnew');
});

test('serve --stdio speaks through pipes too', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const image = folder.file('image');
  await writeFile(image, Buffer.alloc(MIB, 'disk'));
  const script = `
import subprocess, sys
server = subprocess.Popen(${JSON.stringify(serving('--stdio', image))}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
option = lambda number, data=b"": b"IHAVEOPT" + number.to_bytes(4, "big") + len(data).to_bytes(4, "big") + data
greeting = server.stdout.read(18)
server.stdin.write((3).to_bytes(4, "big") + option(1))
server.stdin.write(bytes.fromhex("256095130000000000000000000000010000000000000000000f0000"))
server.stdin.write(bytes.fromhex("25609513000000020000000000000002000000000000000000000000"))
server.stdin.flush()
answer = server.stdout.read()
print(greeting[:16].decode(), len(answer), answer[-983040:] == b"disk" * 245760, server.wait())
`;
  const answerBytes = 10 + 16 + 960 * KIB;
  assert.equal(await succeed('/usr/bin/python3', '-c', script), `NBDMAGICIHAVEOPT ${answerBytes} True 0\n`);
});

test("systemd's way of handing over a socket is understood, and wins over the address on the command line", async () => {
  await using folder = await TemporaryFolder.create('memory');
  const image = folder.file('image');
  await writeFile(image, Buffer.alloc(MIB, 'disk'));
  const script = `
h.connect_systemd_socket_activation(${JSON.stringify(serving('--port', '1', '--export', 'disk', image))})
`;
  const named = `h.set_export_name("disk")${script}print(bytes(h.pread(4, 0)).decode())`;
  // The server's own line, its URI, comes first: it inherits the standard output of the client.
  assert.match(
    await succeed('/usr/bin/python3', '-m', 'nbd', '-c', named),
    /^nbd\+unix:\/\/\/disk\?socket=\S+\ndisk\n$/,
  );
});
