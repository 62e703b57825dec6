import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { CMD, u16, u32 } from '../../../test/support/raw-nbd-client.ts';
import {
  ALL_FLAGS,
  ALLOCATION_CONTEXT,
  haggling,
  type Script,
  ScriptedNbdServer,
  type ScriptedPeer,
} from '../../../test/support/scripted-nbd-server.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { ECONNRESET, EINVAL, ENOENT, ESHUTDOWN, ETIMEDOUT } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import { NbdClient, type NbdClientSettings } from './index.ts';

const MIB = 1024 * 1024;
const BLOCK = 4096;

function connect(disk: ServedDisk, settings: NbdClientSettings = {}): Promise<NbdClient> {
  return NbdClient.connect(disk.server.uri('disk'), settings);
}

const failsWith = (errno: number): { readonly errno: number } => ({ errno });
const no = new Error('no longer wanted');

test('a call whose signal was aborted before fails with its reason, and nothing is sent', async () => {
  await using disk = await ServedDisk.open();
  await using client = await connect(disk);
  const signal = AbortSignal.abort(no);
  for (const call of [
    client.read(0, BLOCK, { signal }),
    client.write(0, Buffer.alloc(BLOCK), { signal }),
    client.flush({ signal }),
    client.blockStatus(0, BLOCK, { signal }),
    client.metadata(0, BLOCK, { signal }),
  ]) {
    await assert.rejects(call, no);
  }
  assert.deepEqual(disk.node.log, []);
});

test('a signal ends its call at once, and neither other calls nor the connection', async () => {
  await using disk = await ServedDisk.open();
  await using client = await connect(disk);
  disk.node.holding = true;
  const controller = new AbortController();
  const given = client.read(0, BLOCK, { signal: controller.signal });
  const kept = client.read(BLOCK, BLOCK);
  await disk.node.reached(2);
  controller.abort(no);
  await assert.rejects(given, no);
  disk.node.letGo();
  assert.equal((await kept).length, BLOCK);
  assert.equal((await client.read(0, BLOCK)).length, BLOCK);
  assert.equal(client.failure, null);
});

test('the memory of a write that was given up is the caller’s, and the server gets what it was', async () => {
  await using disk = await ServedDisk.open({ lengthBytes: 16 * MIB });
  await using client = await connect(disk);
  const controller = new AbortController();
  const data = Buffer.alloc(8 * MIB, 1);
  const write = client.write(0, data, { signal: controller.signal });
  controller.abort(no);
  await assert.rejects(write, no);
  data.fill(2);
  await client.flush();
  await disk.node.reached(2);
  assert.ok(disk.node.content.subarray(0, data.length).equals(Buffer.alloc(data.length, 1)));
});

test('a deadline ends its call, and neither other calls nor the connection', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open();
  await using client = await connect(disk, { clock });
  disk.node.holding = true;
  const late = client.read(0, BLOCK, { timeoutMs: 100 });
  const kept = client.read(BLOCK, BLOCK);
  await disk.node.reached(2);
  clock.advance(99);
  clock.advance(1);
  await assert.rejects(late, (error: unknown) => error instanceof ColobusError && error.errno === ETIMEDOUT);
  disk.node.letGo();
  await kept;
  assert.equal(client.failure, null);
});

test('one deadline holds for all requests of a call', async () => {
  const clock = new ManualClock();
  let asked = 0;
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(MIB);
    for (;;) {
      const { header } = await peer.command();
      if (header.type === CMD.DISC) return peer.end();
      asked += 1;
      clock.advance(30);
      const oneSector = [u32(ALLOCATION_CONTEXT), u32(512), u32(0)];
      const head = [u32(0x668e33ef), u16(1), u16(5), u32(header.cookieHigh), u32(header.cookieLow), u32(12)];
      peer.write(Buffer.concat([...head, ...oneSector]));
    }
  });
  await using client = await NbdClient.connect({ address: { kind: 'unix', path: server.socket } }, { clock });
  for (const ask of ['blockStatus', 'metadata'] as const) {
    asked = 0;
    await assert.rejects(client[ask](0, MIB, { timeoutMs: 100 }), failsWith(ETIMEDOUT));
    assert.equal(asked, 4);
    assert.equal(client.failure, null);
  }
});

test('a request that a server does not answer in time ends the connection, and says so', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open();
  await using client = await connect(disk, { clock, requestTimeoutMs: 1000 });
  disk.node.holding = true;
  const read = assert.rejects(client.read(0, BLOCK), failsWith(ETIMEDOUT));
  await disk.node.reached(1);
  for (let step = 0; step < 30; step++) clock.advance(50);
  await read;
  assert.equal(client.failure?.errno, ETIMEDOUT);
  await assert.rejects(client.read(0, BLOCK), failsWith(ESHUTDOWN));
});

for (const [what, limitMs, call] of [
  ['a read', 5000, (client: NbdClient) => client.read(0, BLOCK)],
  ['a flush', 30_000, (client: NbdClient) => client.flush()],
] as const) {
  test(`unless told otherwise, ${what} may take ${limitMs} ms`, async () => {
    const clock = new ManualClock();
    await using disk = await ServedDisk.open();
    await using client = await connect(disk, { clock });
    disk.node.holding = true;
    const late = assert.rejects(call(client), failsWith(ETIMEDOUT));
    await disk.node.reached(1);
    const advance = (byMs: number): void => {
      for (let step = 0; step < byMs; step += 50) clock.advance(50);
    };
    advance(limitMs - 50);
    assert.equal(client.failure, null);
    advance(150);
    await late;
    assert.notEqual(client.failure, null);
  });
}

test('close waits for every call in flight, of one request or several, and refuses later ones', async () => {
  await using disk = await ServedDisk.open({ limits: { maxTransferBytes: 64 * 1024 } });
  const client = await connect(disk);
  disk.node.holding = true;
  const data = Buffer.alloc(MIB, 7);
  const calls = [client.write(0, data), client.blockStatus(0, MIB), client.metadata(0, MIB), client.flush()];
  await disk.node.reached(4);
  const closing = client.close();
  await assert.rejects(client.read(0, BLOCK), failsWith(ESHUTDOWN));
  disk.node.letGo();
  await Promise.all(calls);
  await closing;
  await client.close();
  await assert.rejects(client.read(0, BLOCK), failsWith(ESHUTDOWN));
  assert.equal(client.failure, null);
  assert.ok(disk.node.content.equals(data));
  assert.ok(disk.node.log.length >= 16 + 3, 'the write went in pieces');
  while (disk.server.connections > 0) await setImmediate();
});

test('disposing closes', async () => {
  await using disk = await ServedDisk.open();
  {
    await using client = await connect(disk, { connections: 3 });
    assert.equal(client.connections, 3);
  }
  while (disk.server.connections > 0) await setImmediate();
});

test('a range that cannot be is the caller’s mistake, and nothing is sent', async () => {
  await using disk = await ServedDisk.open({ limits: { requestAlignment: 512 } });
  await using client = await connect(disk);
  for (const [offset, length] of [
    [-1, 512],
    [0, -512],
    [0.5, 512],
    [0, Number.NaN],
    [2 ** 53, 512],
    [MIB, 512],
    [MIB - 512, 1024],
    [256, 512],
    [512, 256],
  ] as const) {
    for (const call of [
      () => client.read(offset, length),
      () => client.trim(offset, length),
      () => client.writeZeroes(offset, length),
      () => client.cache(offset, length),
    ]) {
      await assert.rejects(call, (error: unknown) => error instanceof UsageError && error.errno === EINVAL);
    }
  }
  assert.deepEqual(disk.node.log, []);
});

test('several connections share the load', async () => {
  await using disk = await ServedDisk.open();
  const client = await connect(disk, { connections: 4 });
  assert.equal(disk.server.connections, 4);
  const block = Buffer.alloc(BLOCK, 7);
  await Promise.all(Array.from({ length: 200 }, (_, index) => client.write(index * BLOCK, block)));
  assert.ok(disk.node.content.subarray(0, 200 * BLOCK).every(byte => byte === 7));
  await client.close();
});

test('the loss of one connection of several ends all', async () => {
  const peers: ScriptedPeer[] = [];
  let commands = 0;
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(MIB, ALL_FLAGS);
    peers.push(peer);
    for (;;) {
      await peer.command();
      commands += 1;
    }
  });
  const address = { kind: 'unix', path: server.socket } as const;
  await using client = await NbdClient.connect({ address }, { connections: 4 });
  const calls = Array.from({ length: 8 }, () => assert.rejects(client.read(0, BLOCK), failsWith(ECONNRESET)));
  while (commands < 8) await setImmediate();
  assert.equal(peers.length, 4);
  peers[2]?.end();
  await Promise.all(calls);
  assert.equal(client.failure?.errno, ECONNRESET);
});

test('a number of connections that cannot be is refused', async () => {
  await using disk = await ServedDisk.open();
  for (const connections of [0, 17, 1.5]) await assert.rejects(connect(disk, { connections }), UsageError);
});

/** Serves the first connection and says nothing on the later ones. */
function servingOnlyOne(): Script {
  let count = 0;
  return async peer => {
    if (count++ > 0) return;
    await peer.handshake(MIB, ALL_FLAGS);
    for (;;) {
      const { header } = await peer.command();
      if (header.type === CMD.DISC) return peer.end();
      peer.answer(header);
    }
  };
}

for (const [what, script, connections] of [
  ['while the server says nothing', async () => {}, 1],
  ['in the middle of the options', haggling(() => {}), 1],
  ['while further connections are opened', servingOnlyOne(), 4],
] as const satisfies readonly (readonly [string, Script, number])[]) {
  test(`connecting can be given up ${what}`, async () => {
    let accepted = 0;
    await using server = await ScriptedNbdServer.start(peer => {
      accepted += 1;
      return script(peer);
    });
    const controller = new AbortController();
    const address = { kind: 'unix', path: server.socket } as const;
    const opening = NbdClient.connect({ address }, { signal: controller.signal, connections });
    opening.catch(() => {});
    while (accepted < connections) await setImmediate();
    controller.abort(no);
    await assert.rejects(opening, no);
  });
}

test('what a server has is listed and told without opening it', async () => {
  await using disk = await ServedDisk.open({ description: 'A disk', allocationDepth: true });
  assert.deepEqual(await NbdClient.list(disk.server.uri('')), [{ name: 'disk', description: 'A disk' }]);
  const report = await NbdClient.info(disk.server.uri('disk'));
  assert.deepEqual([report.protocol, report.tls, report.replies], ['newstyle-fixed', false, 'extended']);
  assert.deepEqual(report.contexts, ['base:allocation', 'qemu:allocation-depth']);
  assert.deepEqual([report.export.name, report.export.description, report.export.sizeBytes], ['disk', 'A disk', MIB]);
  assert.deepEqual(disk.node.log, []);
  assert.equal(disk.nbdExport.connections, 0);
  await assert.rejects(NbdClient.info(disk.server.uri('dusk')), failsWith(ENOENT));
});

test('metadata is told for each context that the server has, in order and without gaps', async () => {
  await using disk = await ServedDisk.open({ allocationDepth: true });
  for (let at = 0; at < MIB; at += 8 * BLOCK) disk.node.content.fill(1, at, at + BLOCK);
  for (const settings of [{}, { extendedHeaders: false }]) {
    const contexts = ['qemu:allocation-depth', 'x-test:nothing', 'base:allocation'];
    await using client = await connect(disk, { ...settings, contexts });
    const told = await client.metadata(BLOCK, MIB - BLOCK);
    assert.deepEqual([...told.keys()].sort(), ['base:allocation', 'qemu:allocation-depth']);
    for (const extents of told.values()) {
      let at = BLOCK;
      for (const { offset, length } of extents) {
        assert.equal(offset, at);
        at += length;
      }
      assert.equal(at, MIB);
    }
    assert.deepEqual(told.get('qemu:allocation-depth'), [{ offset: BLOCK, length: MIB - BLOCK, flags: 1 }]);
    assert.ok((told.get('base:allocation')?.length ?? 0) > 32);
  }
  await using none = await connect(disk, { contexts: [] });
  assert.equal((await none.metadata(0, MIB)).size, 0);
  assert.deepEqual(await none.blockStatus(0, MIB), [{ offset: 0, length: MIB, hole: false, zero: false }]);
});
