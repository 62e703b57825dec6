import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { Program } from '../support/program.ts';
import { type Message, RawMonitor } from '../support/raw-monitor.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

type Record = { readonly line: string; readonly answers: readonly Message[] };

/** Commands about exports and the NBD server, with and without clients; QEMU's iotests 140, 143, 205 and 307 retold. */
async function converse(monitorPath: string, socketPath: string): Promise<readonly Record[]> {
  await using monitor = await RawMonitor.connect(monitorPath);
  const record: Record[] = [];
  const say = async (name: string, args: object = {}): Promise<void> => {
    const line = JSON.stringify({ execute: name, arguments: args });
    const answers = await monitor.answers(line);
    record.push({
      line: line.replaceAll(socketPath, 'SOCKET'),
      answers: answers.map(({ timestamp: _, ...rest }) => rest),
    });
  };
  const server = { addr: { type: 'unix', data: { path: socketPath } } };
  await say('qmp_capabilities');
  await say('blockdev-add', { driver: 'null-co', 'node-name': 'n', size: 65536 });
  await say('blockdev-add', { driver: 'null-co', 'node-name': 'ro', 'read-only': true });
  await say('nbd-server-add', { device: 'zz' });
  await say('nbd-server-add', { device: 'n' });
  await say('nbd-server-remove', { name: 'n' });
  for (const addr of [
    { type: 'fd', data: { str: '0' } },
    { type: 'tape', data: {} },
    { type: 'unix' },
    { type: 'unix', data: {} },
    { type: 'inet', data: { host: '127.0.0.1' } },
  ]) {
    await say('nbd-server-start', { addr });
  }
  await say('nbd-server-start', { ...server, 'tls-creds': 'none' });
  await say('nbd-server-start', server);
  await say('nbd-server-start', server);
  await say('nbd-server-add', {});
  await say('nbd-server-add', { device: 'zz' });
  await say('nbd-server-add', { device: 'n', bitmap: 'none' });
  await say('nbd-server-add', { device: 'n', bitmap: 5 });
  await say('nbd-server-add', { device: 'n', name: '9 x' });
  await say('nbd-server-add', { device: 'n', name: '' });
  await say('nbd-server-add', { device: 'n' });
  await say('nbd-server-add', { device: 'n' });
  await say('nbd-server-add', { device: 'ro', name: 'd', description: 'downgraded', writable: true });
  await say('query-block-exports');
  await say('nbd-server-remove', { name: 'd', mode: 'soft' });
  await say('nbd-server-remove', { name: 'd' });
  await say('nbd-server-remove', { name: 'd' });
  await say('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'n', name: 'n', writable: true });
  await say('block-export-add', { type: 'nbd', id: 'n', 'node-name': 'ro' });
  await say('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'ro', iothread: 'none' });
  await say('block-export-add', {
    type: 'nbd',
    id: 'e',
    'node-name': 'n',
    name: 'x',
    writable: true,
    writethrough: true,
  });
  {
    await using client = await NbdClient.connect(`nbd+unix:///x?socket=${socketPath}`);
    for (const mode of [{}, { mode: 'safe' }]) await say('block-export-del', { id: 'e', ...mode });
    await say('nbd-server-remove', { name: 'e' });
    await client.write(0, Buffer.alloc(512));
    await say('query-block-exports');
    // The answer and the event have no order while a client is being disconnected.
    monitor.send('{"execute":"block-export-del","arguments":{"id":"e","mode":"hard"},"id":"hard"}');
    await monitor.until(() => isDeleted(monitor, 'e') && monitor.messages.some(({ id }) => id === 'hard'));
    await assert.rejects(client.read(0, 512));
  }
  await assert.rejects(NbdClient.connect(`nbd+unix:///x?socket=${socketPath}`));
  await say('block-export-del', { id: 'e', mode: 'hard' });
  await say('nbd-server-remove', { name: 'e', mode: 'hard' });
  await say('query-block-exports');
  await say('nbd-server-stop');
  await say('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'n' });
  await say('query-blockstats');
  await say('query-blockstats', { 'query-nodes': 5 });
  await say('object-del', { id: 'none' });
  await say('blockdev-del', { 'node-name': 'n' });
  const deleted = monitor.messages.filter(({ event }) => event === 'BLOCK_EXPORT_DELETED').map(({ data }) => data);
  assert.deepEqual(deleted, [{ id: 'd' }, { id: 'e' }, { id: 'n' }], 'each export is deleted exactly once');
  return record;
}

function isDeleted(monitor: RawMonitor, id: string): boolean {
  return monitor.messages.some(
    ({ event, data }) => event === 'BLOCK_EXPORT_DELETED' && (data as { id: string }).id === id,
  );
}

/** Colobus may say more behind QEMU's text. */
function assertAlike(own: readonly Record[], qemu: readonly Record[]): void {
  const shorten = (answer: Message, theirs: Message | undefined): Message => {
    const { error } = answer as { error?: { desc: string } };
    const { error: expected } = (theirs ?? {}) as { error?: { desc: string } };
    if (error === undefined || expected === undefined || !error.desc.startsWith(expected.desc)) return answer;
    return { ...answer, error: { ...error, desc: expected.desc } };
  };
  const alike = own.map(({ line, answers }, index) => ({
    line,
    answers: answers.map((answer, at) => shorten(answer, qemu[index]?.answers[at])),
  }));
  assert.deepEqual(alike, qemu);
}

describe('the commands about exports', () => {
  let folder: TemporaryFolder;
  let daemon: Daemon;
  let uri: (name: string) => string;
  before(async () => {
    folder = await TemporaryFolder.create('memory');
    daemon = await Daemon.start({ directory: folder.path, name: 'colobus', args: [] });
    uri = name => `nbd+unix:///${name}?socket=${folder.file('nbd')}`;
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** With the daemon's server running, which is stopped at the end. */
  async function whileServing(body: () => Promise<void>): Promise<void> {
    await daemon.qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: folder.file('nbd') } } });
    try {
      await body();
    } finally {
      await daemon.qmp.execute('nbd-server-stop');
    }
  }

  it('answer as those of qemu-storage-daemon', async () => {
    const path = folder.file('qemu.qmp');
    const pidfile = folder.file('qemu.pid');
    const args = ['--chardev', `socket,id=c,path=${path},server=on,wait=off`, '--monitor', 'c', '--pidfile', pidfile];
    await using qemu = Program.start('qemu-storage-daemon', args);
    await qemu.created(pidfile, `${qemu.pid}\n`);
    assertAlike(await converse(daemon.monitorPath, folder.file('own')), await converse(path, folder.file('qemu')));
    await daemon.qmp.execute('blockdev-del', { 'node-name': 'ro' });
  });

  it('count what exports had of a node, and tell of requests that failed', async () => {
    const rule = { event: 'none', once: true };
    await daemon.qmp.execute('blockdev-add', {
      driver: 'blkdebug',
      'node-name': 'bad',
      image: { driver: 'memory', 'node-name': 'ram', size: 1024 * 1024 },
      'inject-error': [
        { ...rule, iotype: 'write', errno: 28, sector: 0 },
        { ...rule, iotype: 'read', errno: 5, sector: 0 },
        { ...rule, iotype: 'flush', errno: 5 },
      ],
    });
    await whileServing(async () => {
      await daemon.qmp.execute('block-export-add', {
        type: 'nbd',
        id: 'e',
        'node-name': 'bad',
        name: 'x',
        writable: true,
      });
      await using client = await NbdClient.connect(uri('x'));
      await assert.rejects(client.write(0, Buffer.alloc(4096)));
      await assert.rejects(client.read(0, 4096));
      await client.write(8192, Buffer.alloc(4096));
      await client.writeZeroes(65536, 8192);
      await client.trim(4096, 4096);
      await client.read(0, 512);
      await assert.rejects(client.flush());
    });
    const common = { device: '', 'node-name': 'bad', action: 'report' };
    // Of those within a second the first is told at once and the last afterwards.
    const failures = [
      { operation: 'write', nospace: true, reason: 'No space left on device' },
      { operation: 'write', nospace: false, reason: 'Input/output error' },
    ];
    for (const failure of failures) {
      const { data } = await daemon.qmp.event('BLOCK_IO_ERROR');
      assert.deepEqual(data, { ...common, ...failure });
    }
    const nodes = await daemon.qmp.execute<NodeStats[]>('query-blockstats', { 'query-nodes': true });
    const bad = nodes.find(node => node['node-name'] === 'bad');
    assert.deepEqual(
      Object.entries(bad?.stats ?? {}).filter(([, value]) => typeof value === 'number' && value > 0),
      [
        ['rd_bytes', 512],
        ['wr_bytes', 12288],
        ['unmap_bytes', 4096],
        ['rd_operations', 1],
        ['wr_operations', 2],
        ['unmap_operations', 1],
        ['wr_highest_offset', 73728],
        ['failed_rd_operations', 1],
        ['failed_wr_operations', 1],
        ['failed_flush_operations', 1],
      ],
    );
    assert.equal(bad?.parent?.['node-name'], 'ram');
    await daemon.qmp.execute('blockdev-del', { 'node-name': 'bad' });
  });

  it('say what is above and below each node, and with which permissions', async () => {
    writeFileSync(folder.file('disk.img'), '');
    truncateSync(folder.file('disk.img'), 65536);
    const file = { driver: 'file', 'node-name': 'disk', filename: folder.file('disk.img') };
    await daemon.qmp.execute('blockdev-add', { driver: 'raw', 'node-name': 'top', file });
    await whileServing(async () => {
      await daemon.qmp.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'top', writable: true });
      assert.deepEqual(await daemon.qmp.execute('x-debug-query-block-graph'), {
        nodes: [
          { id: 1, type: 'block-backend', name: "export 'e'" },
          { id: 3, type: 'block-driver', name: 'disk' },
          { id: 2, type: 'block-driver', name: 'top' },
        ],
        edges: [
          {
            parent: 1,
            child: 2,
            name: 'root',
            perm: ['write', 'consistent-read'],
            'shared-perm': ['write-unchanged', 'consistent-read'],
          },
          {
            parent: 2,
            child: 3,
            name: 'file',
            perm: ['write', 'consistent-read'],
            'shared-perm': ['write-unchanged', 'consistent-read'],
          },
        ],
      });
    });
    await daemon.qmp.execute('blockdev-del', { 'node-name': 'top' });
  });

  it('leave an object alone while a server or a node uses it', async () => {
    await mkdir(folder.file('tls'));
    writeFileSync(folder.file('tls/keys.psk'), `colobus:${'5a'.repeat(32)}\n`);
    const psk = { 'qom-type': 'tls-creds-psk', dir: folder.file('tls') };
    const { qmp } = daemon;
    await qmp.execute('object-add', { ...psk, id: 'there', endpoint: 'server' });
    await qmp.execute('object-add', { ...psk, id: 'here', endpoint: 'client', username: 'colobus' });
    const addr = { type: 'unix', path: folder.file('nbd') };
    await qmp.execute('nbd-server-start', { addr, 'tls-creds': 'there' });
    await qmp.execute('blockdev-add', { driver: 'memory', 'node-name': 'ram', size: 65536 });
    await qmp.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'ram' });
    await qmp.execute('blockdev-add', {
      driver: 'nbd',
      'node-name': 'far',
      server: addr,
      export: 'ram',
      'read-only': true,
      'tls-creds': 'here',
    });
    const inUse = (id: string): RegExp => new RegExp(`^object '${id}' is in use, can not be deleted; `);
    await assert.rejects(qmp.execute('object-del', { id: 'there' }), { message: inUse('there') });
    await assert.rejects(qmp.execute('object-del', { id: 'here' }), { message: inUse('here') });
    await qmp.execute('blockdev-del', { 'node-name': 'far' });
    await qmp.execute('object-del', { id: 'here' });
    await qmp.execute('nbd-server-stop');
    await qmp.execute('object-del', { id: 'there' });
    await qmp.execute('blockdev-del', { 'node-name': 'ram' });
  });
});

type NodeStats = {
  readonly 'node-name': string;
  readonly stats: { readonly [name: string]: unknown };
  readonly parent?: NodeStats;
};
