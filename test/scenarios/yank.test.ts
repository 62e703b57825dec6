/** yank and query-yank on real connections, beside those of the real QEMU; transcripts/yank.qmp has the refusals. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { NbdClient } from '../../src/nbd/client/index.ts';
import { CommandedDaemon } from '../support/commanded-daemon.ts';
import { NbdPeer } from '../support/nbd-peer.ts';
import { QemuSystem } from '../support/qemu-system.ts';
import { type Message, RawMonitor } from '../support/raw-monitor.ts';

let colobus: CommandedDaemon;
let qemu: QemuSystem;
let peer: NbdPeer;
/** What has been started, also where the rest could not be. */
const started: AsyncDisposable[] = [];

before(async () => {
  colobus = await CommandedDaemon.start('colobus');
  started.unshift(colobus);
  qemu = await QemuSystem.start(colobus.folder.file('qemu'));
  started.unshift(qemu);
  peer = await NbdPeer.nbdkit('memory', '1M');
  started.unshift(peer);
});
after(async () => {
  for (const one of started) await one[Symbol.asyncDispose]();
});

type Client = (command: string, args?: object) => Promise<Message>;

/** A client of the monitor at `path` that has negotiated oob, and gives back answers as they came. */
async function clientOf(monitor: RawMonitor): Promise<Client> {
  const client: Client = async (command, args = {}) => {
    const answers = await monitor.answers(JSON.stringify({ execute: command, arguments: args }));
    return answers.find(message => message.event === undefined) ?? assert.fail(`${command} was not answered`);
  };
  monitor.send('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\n');
  await monitor.until(() => monitor.messages.length === 2);
  return client;
}

/** Asks both and compares: ours may say more behind QEMU's text, and nothing else. */
async function same(clients: readonly [Client, Client], command: string, args: object = {}): Promise<void> {
  const [ours, theirs] = [await clients[0](command, args), await clients[1](command, args)] as [Message, Message];
  const errorOf = (message: Message): { class: string; desc: string } | undefined => message.error as never;
  const [our, their] = [errorOf(ours), errorOf(theirs)];
  if (their === undefined) {
    assert.deepEqual(ours, theirs, command);
  } else {
    assert.equal(our?.class, their.class, command);
    assert.ok(our?.desc.startsWith(their.desc), `${command}: ours says ${our?.desc}, QEMU ${their.desc}`);
  }
}

describe("beside QEMU's", () => {
  let monitors: readonly [RawMonitor, RawMonitor];
  let clients: readonly [Client, Client];
  const link = { driver: 'nbd', 'node-name': 'link', export: '' };

  before(async () => {
    monitors = [await RawMonitor.connect(colobus.daemon.monitorPath), await RawMonitor.connect(qemu.monitorPath)];
    clients = [await clientOf(monitors[0]), await clientOf(monitors[1])];
  });
  after(async () => {
    for (const monitor of monitors) await monitor[Symbol.asyncDispose]();
  });

  it('yank closes nbd nodes, which can be removed then', async () => {
    const instances = [{ type: 'block-node', 'node-name': 'link' }];
    await same(clients, 'yank', { instances });
    await same(clients, 'blockdev-add', { ...link, server: { type: 'unix', path: peer.socket } });
    await same(clients, 'yank', { instances: [...instances, { type: 'block-node', 'node-name': 'nope' }] });
    await same(clients, 'yank', { instances });
    await same(clients, 'blockdev-del', { 'node-name': 'link' });
  });

  it('query-yank lists the monitors and the nbd nodes', async () => {
    await same(clients, 'blockdev-add', { ...link, server: { type: 'unix', path: peer.socket } });
    const [ours, theirs] = [await clients[0]('query-yank'), await clients[1]('query-yank')];
    const node = { type: 'block-node', 'node-name': 'link' };
    assert.deepEqual(ours.return, [{ type: 'chardev', id: 'monitor' }, node]);
    const chardevs = ['mon0', 'mon1'].map(id => ({ type: 'chardev', id }));
    assert.deepEqual(sorted(theirs.return), sorted([...chardevs, node]));
    await same(clients, 'blockdev-del', { 'node-name': 'link' });
  });
});

describe('a yank past what waits', () => {
  it('fails a write on a frozen link at once, out of band', async () => {
    const server = { type: 'unix', path: peer.socket };
    await colobus.add('frozen', { driver: 'nbd', server, 'request-timeout': 600_000 });
    const client: NbdClient = await colobus.open('frozen');
    const instances = [{ type: 'block-node', 'node-name': 'frozen' }];
    const tooMany = [...instances, { type: 'block-node', 'node-name': 'nope' }];
    await assert.rejects(colobus.qmp.execute('yank', { instances: tooMany }), { message: 'Instance not found' });
    await client.write(0, Buffer.alloc(512));
    await peer.freeze();
    const write = client.write(0, Buffer.alloc(512)).then(
      () => assert.fail('the write succeeded'),
      (error: Error) => error,
    );
    await using monitor = await RawMonitor.connect(colobus.daemon.monitorPath);
    await clientOf(monitor);
    monitor.send(`${JSON.stringify({ 'exec-oob': 'yank', arguments: { instances }, id: 'yank' })}\n`);
    await monitor.until(() => monitor.messages.some(message => message.id === 'yank'));
    assert.ok(await write);
    await colobus.clear();
  });

  it('closes the connections of a monitor, its own among them, and takes new ones', async () => {
    await using monitor = await RawMonitor.connect(colobus.daemon.monitorPath);
    await clientOf(monitor);
    monitor.send('{"execute":"yank","arguments":{"instances":[{"type":"chardev","id":"monitor"}]}}\n');
    await monitor.closed();
    await colobus.qmp.closed;
    await using another = await RawMonitor.connect(colobus.daemon.monitorPath);
    await clientOf(another);
  });
});

function sorted(list: unknown): readonly string[] {
  return (list as readonly object[]).map(item => JSON.stringify(Object.entries(item).sort())).sort();
}
