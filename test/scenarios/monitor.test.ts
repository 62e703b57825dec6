import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Daemon } from '../support/daemon.ts';
import { RawMonitor } from '../support/raw-monitor.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

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

  it('answers other clients, and out of band this one, while a command waits for a peer that says nothing', async () => {
    const path = folder.file('silent.nbd');
    const silent = createServer().listen(path);
    try {
      await using waiting = await RawMonitor.connect(daemon.monitorPath);
      await waiting.answers('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}');
      const definition = `{"driver":"nbd","node-name":"far","server":{"type":"unix","path":"${path}"}}`;
      waiting.send(`{"execute":"blockdev-add","arguments":${definition},"id":"slow"}`);
      waiting.send('{"execute":"query-jobs","id":"after"}{"exec-oob":"query-yank","id":"past them"}');
      const [peer] = (await once(silent, 'connection')) as [Socket];
      peer.on('error', () => {});
      for (let round = 0; round < 20; round += 1) await daemon.qmp.execute('query-replication');
      await waiting.until(() => waiting.messages.at(-1)?.id === 'past them');
      peer.destroy();
      await waiting.until(() => waiting.messages.at(-1)?.id === 'after');
      assert.equal(waiting.messages.at(-2)?.id, 'slow', 'the commands of one client are answered in order');
    } finally {
      silent.close();
    }
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
