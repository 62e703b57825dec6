import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { MAX_UNREAD_BYTES } from '../../src/monitor/monitor-session.ts';
import { Daemon } from '../support/daemon.ts';
import { Program } from '../support/program.ts';
import { type Message, RawMonitor } from '../support/raw-monitor.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

/** Lines that any client may send, in order, to which Colobus answers as qemu-storage-daemon does. */
const TRANSCRIPT: readonly string[] = [
  '{"execute":"query-version"}',
  '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":"negotiate"}',
  '{"execute":"qmp_capabilities"}',
  'abc {"execute":"query-jobs"}',
  '1 2',
  '[1,2]',
  '{]',
  '}',
  '{"a":}',
  '{"a" 1}',
  '{"a":1 "b":2}',
  '{"a":1,"a":2}',
  '{1:2}',
  "{'execute':'query-jobs','id':'it\\'s'}",
  '{"execute":"query-jobs"\xff',
  '{"execute":"query-jobs","id":12345678901234567890}',
  '{"execute":"query-jobs","id":{"b":1.5e3,"a":[null,false]}}',
  '{"execute":"query-jobs","id":"\\u00e9\\ud83d\\ude00 / \\/ \\u007f \\u0001 \'"}',
  '{"execute":"query-jobs","id":"\\q"}',
  '{"execute":"query-jobs","id":"\\ud800"}',
  '{"execute":"quer\x01y-jobs"}',
  '{"id":5}',
  '{"execute":5}',
  '{"execute":"query-jobs","arguments":5}',
  '{"execute":"query-jobs","foo":5,"id":1}',
  '{"exec-oob":"query-jobs","id":1}',
  '{"execute":"query-jobs","exec-oob":"query-jobs","id":1}',
  '{"execute":"query-jobs","arguments":{"x":1}}',
  '{"execute":"nope","id":{"a":1}}',
  '{"execute":"blockdev-del"}',
  '{"execute":"blockdev-del","arguments":{"node-name":5}}',
  '{"execute":"blockdev-del","arguments":{"node-name":null}}',
  '{"execute":"blockdev-del","arguments":{"node-name":"zz"}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"n0","read-only":true}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"n0"}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co"}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"a b"}}',
  '{"execute":"blockdev-add","arguments":{"node-name":"n1"}}',
  '{"execute":"blockdev-add","arguments":{"driver":"null-co","node-name":"n1","sighs":1}}',
  '{"execute":"block-export-add","arguments":{"id":"e0","node-name":"n0"}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e0","node-name":"n0"}}',
  '{"execute":"nbd-server-stop"}',
  '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"DIRECTORY/nbd"}}}}',
  '{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"DIRECTORY/nbd"}}}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"1 e","node-name":"n0"}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e0","node-name":"zz"}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e0","node-name":"n0","writable":true}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e0","node-name":"n0"}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e0","node-name":"n0"}}',
  '{"execute":"block-export-add","arguments":{"type":"nbd","id":"e1","node-name":"n0"}}',
  '{"execute":"query-block-exports"}',
  '{"execute":"block-export-del","arguments":{"id":"zz"}}',
  '{"execute":"block-export-del","arguments":{"id":"e0"}}',
  '{"execute":"blockdev-del","arguments":{"node-name":"n0"}}',
  '{"execute":"job-pause","arguments":{"id":"zz"}}',
  '{"execute":"nbd-server-stop"}',
];

/** What differs by nature: versions and times. */
function comparable(message: Message): Message {
  const { timestamp, ...rest } = message;
  assert.equal(timestamp !== undefined, rest.event !== undefined, 'an event and nothing else has a time');
  return rest;
}

async function play(monitorPath: string, directory: string): Promise<readonly object[]> {
  await using monitor = await RawMonitor.connect(monitorPath);
  const record: object[] = [];
  for (const line of TRANSCRIPT) {
    const answers = await monitor.answers(Buffer.from(line.replaceAll('DIRECTORY', directory), 'latin1'));
    record.push({ line, answers: answers.map(comparable) });
  }
  return record;
}

describe('the monitor', () => {
  let folder: TemporaryFolder;
  let daemon: Daemon;
  before(async () => {
    folder = await TemporaryFolder.create('memory');
    daemon = await Daemon.start({ directory: folder.path, name: 'colobus', args: [] });
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  it('answers a transcript as qemu-storage-daemon does', async () => {
    const path = folder.file('qemu.qmp');
    const args = [
      '--chardev',
      `socket,id=c,path=${path},server=on,wait=off`,
      '--monitor',
      'c',
      '--pidfile',
      folder.file('qemu.pid'),
    ];
    await using qemu = Program.start('qemu-storage-daemon', args);
    await qemu.created(folder.file('qemu.pid'), `${qemu.pid}\n`);
    assert.deepEqual(await play(daemon.monitorPath, folder.path), await play(path, folder.path));
  });

  it('greets with the version of QEMU it stands for and its own', async () => {
    await using monitor = await RawMonitor.connect(daemon.monitorPath);
    const { package: own } = await daemon.qmp.execute<{ package: string }>('query-version');
    assert.match(own, /^colobus \d+\.\d+\.\d+$/);
    assert.deepEqual(monitor.messages, [
      { QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: own }, capabilities: ['oob'] } },
    ]);
  });

  it('lists every command it knows', async () => {
    const commands = await daemon.qmp.execute<{ name: string }[]>('query-commands');
    const names = commands.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const name of ['qmp_capabilities', 'query-commands', 'replication-checkpoint-prepare', 'quit']) {
      assert.ok(names.includes(name), name);
    }
  });

  it('sends events to the clients that have negotiated, and to all of those', async () => {
    await using silent = await RawMonitor.connect(daemon.monitorPath);
    await using other = await RawMonitor.connect(daemon.monitorPath);
    await other.answers('{"execute":"qmp_capabilities"}');
    await daemon.qmp.execute('blockdev-add', { driver: 'null', 'node-name': 'n' });
    await daemon.qmp.execute('nbd-server-start', { addr: { type: 'unix', path: folder.file('events.nbd') } });
    await daemon.qmp.execute('block-export-add', { type: 'nbd', id: 'e', 'node-name': 'n' });
    await daemon.qmp.execute('block-export-del', { id: 'e' });
    await daemon.qmp.event('BLOCK_EXPORT_DELETED');
    await other.until(() => other.messages.at(-1)?.event === 'BLOCK_EXPORT_DELETED');
    await daemon.qmp.execute('nbd-server-stop');
    await daemon.qmp.execute('blockdev-del', { 'node-name': 'n' });
    const [refusal] = await silent.answers('');
    assert.equal(silent.messages.filter(({ event }) => event !== undefined).length, 0);
    assert.equal(refusal, undefined);
  });

  it('answers a client while a command of another waits for a peer that says nothing', async () => {
    const path = folder.file('silent.nbd');
    const silent = createServer(socket => socket.on('error', () => {})).listen(path);
    try {
      await using waiting = await RawMonitor.connect(daemon.monitorPath);
      await waiting.answers('{"execute":"qmp_capabilities"}');
      const definition = `{"driver":"nbd","node-name":"far","server":{"type":"unix","path":"${path}"},"request-timeout":2000}`;
      waiting.send(
        `{"execute":"blockdev-add","arguments":${definition},"id":"slow"}{"execute":"query-jobs","id":"after"}`,
      );
      await new Promise(resolve => silent.once('connection', resolve));
      for (let round = 0; round < 20; round++) {
        const startMs = performance.now();
        await daemon.qmp.execute('query-replication');
        assert.ok(performance.now() - startMs < 100, `round ${round}`);
      }
      assert.equal(waiting.messages.at(-1)?.id, 'mark-1', 'the other command still waits');
      await waiting.until(() => waiting.messages.at(-1)?.id === 'after');
      assert.equal(waiting.messages.at(-2)?.id, 'slow', 'the commands of one client are answered in order');
    } finally {
      silent.close();
    }
  });

  it('answers 10,000 commands to a client that reads only afterwards', async () => {
    const count = 10_000;
    await using greedy = await RawMonitor.connect(daemon.monitorPath);
    await greedy.answers('{"execute":"qmp_capabilities"}');
    greedy.socket.pause();
    for (let id = 0; id < count; id++) greedy.send(`{"execute":"query-commands","id":${id}}`);
    await daemon.qmp.execute('query-version');
    greedy.socket.resume();
    await greedy.until(() => greedy.messages.at(-1)?.id === count - 1);
    const ids = greedy.messages.filter(({ id }) => typeof id === 'number').map(({ id }) => id);
    assert.deepEqual(
      ids,
      Array.from({ length: count }, (_, id) => id),
    );
  });

  it('disconnects a client that lets events pile up, and no other', async () => {
    await using lazy = await RawMonitor.connect(daemon.monitorPath);
    await lazy.answers('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}');
    lazy.socket.pause();
    // Refusals of out-of-band commands do not wait for their reader, so that they pile up like events.
    const name = 'x'.repeat(1024);
    const line = `{"exec-oob":"${name}"}`;
    const closed = lazy.closed();
    const lines = Math.ceil((2 * MAX_UNREAD_BYTES) / line.length);
    for (let sent = 0; sent < lines && !lazy.socket.destroyed; sent++) lazy.send(line);
    await closed;
    assert.deepEqual(await daemon.qmp.execute('query-jobs'), []);
  });

  it('takes 100 MB without a newline in bounded memory, with one error', async () => {
    await using flooding = await RawMonitor.connect(daemon.monitorPath);
    await flooding.answers('{"execute":"qmp_capabilities"}');
    const chunk = Buffer.alloc(1024 * 1024, 'a');
    const rssBefore = await rssBytes(daemon.pid);
    for (let sent = 0; sent < 100; sent++) {
      if (!flooding.socket.write(chunk)) await new Promise(resolve => flooding.socket.once('drain', resolve));
    }
    await flooding.answers('');
    const errors = flooding.messages.filter(({ error }) => error !== undefined);
    assert.deepEqual(errors, [{ error: { class: 'GenericError', desc: 'JSON token size limit exceeded' } }]);
    const growth = (await rssBytes(daemon.pid)) - rssBefore;
    assert.ok(growth < 64 * 1024 * 1024, `the daemon grew by ${growth} bytes`);
  });

  it('answers what a client asked before it closed its side, then closes the other', async () => {
    await using monitor = await RawMonitor.connect(daemon.monitorPath);
    monitor.socket.end('{"execute":"qmp_capabilities"}{"execute":"query-jobs","id":1}{"execute":"query-jobs","id":2}');
    await monitor.closed();
    assert.deepEqual(
      monitor.messages.slice(1).map(({ id }) => id),
      [undefined, 1, 2],
    );
  });

  it('answers quit, then sends SHUTDOWN, ends with exit code 0 and leaves no file', async () => {
    await using own = await TemporaryFolder.create('memory');
    await using ending = await Daemon.start({ directory: own.path, name: 'ending', args: [] });
    await using monitor = await RawMonitor.connect(ending.monitorPath);
    await monitor.answers('{"execute":"qmp_capabilities"}');
    monitor.send('{"execute":"quit","id":"q"}');
    await monitor.closed();
    const [answer, event] = monitor.messages.slice(-2).map(({ timestamp: _, ...rest }) => rest);
    assert.deepEqual(answer, { return: {}, id: 'q' });
    assert.deepEqual(event, { event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } });
    assert.deepEqual(await ending.ended(), { exitCode: 0, stdout: '', stderr: '' });
    assert.deepEqual(await readdir(own.path), []);
  });
});

async function rssBytes(pid: number): Promise<number> {
  const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(resident) * 4096;
}
