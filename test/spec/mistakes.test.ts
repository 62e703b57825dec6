/** Mistakes that NBD servers are known for, tried on this one; number 2, flags, is in server-flags.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  CMD,
  counted,
  infoRequest,
  OPT,
  option,
  type RawNbdClient,
  REP,
  request,
  u32,
} from '../support/raw-nbd-client.ts';
import { ServedDisk } from '../support/served-disk.ts';

const MIB = 1024 * 1024;

async function haggler(disk: ServedDisk): Promise<RawNbdClient> {
  const client = await disk.connect();
  await client.read(18);
  client.send(u32(3));
  return client;
}

/** The error that answers a command, in either kind of reply. */
async function errorOf(client: RawNbdClient, structured: boolean): Promise<number> {
  const magic = (await client.read(4)).readUInt32BE(0);
  if (magic === 0x67446698) return (await client.read(12)).readUInt32BE(0);
  assert.ok(structured && magic === 0x668e33ef);
  const header = await client.read(16);
  const payload = await client.read(header.readUInt32BE(12));
  return header.readUInt16BE(2) === 0x8001 ? payload.readUInt32BE(0) : 0;
}

test('contexts hold only for the export that the last selection named (mistake 3)', async () => {
  await using disk = await ServedDisk.open();
  const select = (name: string, ...queries: string[]): Buffer[] => [
    counted(name),
    u32(queries.length),
    ...queries.map(counted),
  ];
  for (const [what, before, works] of [
    ['selected', [select('disk', 'base:allocation')], true],
    ['failed afterwards', [select('disk', 'base:allocation'), select('other', 'base:allocation')], false],
    ['malformed afterwards', [select('disk', 'base:allocation'), [counted('disk'), u32(9)]], false],
    ['replaced by none', [select('disk', 'base:allocation'), select('disk')], false],
    ['listed only', [], false],
  ] as const) {
    const client = await haggler(disk);
    await client.haggle(OPT.STRUCTURED_REPLY);
    for (const data of before) await client.haggle(OPT.SET_META_CONTEXT, ...data);
    await client.haggle(OPT.LIST_META_CONTEXT, ...select('disk'));
    await client.haggle(OPT.GO, infoRequest('disk'));
    client.send(request({ type: CMD.BLOCK_STATUS, length: 512 }));
    assert.equal(await errorOf(client, true), works ? 0 : 22, what);
  }
});

test('a GO that fails after a good INFO enters nothing (mistake 3)', async () => {
  await using disk = await ServedDisk.open();
  const client = await haggler(disk);
  assert.equal((await client.haggle(OPT.INFO, infoRequest('disk'))).at(-1)?.type, REP.ACK);
  assert.equal((await client.haggle(OPT.GO, infoRequest('other'))).at(-1)?.type, REP.ERR_UNKNOWN);
  assert.equal((await client.haggle(OPT.LIST)).at(-1)?.type, REP.ACK);
});

test('everything said at once is understood, and split at any byte too (mistakes 4 and 5)', async () => {
  await using disk = await ServedDisk.open();
  const said = Buffer.concat([
    u32(1),
    option(OPT.INFO, infoRequest('disk')),
    option(OPT.GO, infoRequest('disk')),
    request({ type: CMD.WRITE, cookie: 1, payload: Buffer.from('all at once') }),
    request({ type: CMD.READ, cookie: 2, offset: 0, length: 11 }),
    request({ type: CMD.DISC }),
  ]);
  const heard: string[] = [];
  for (const cut of [0, ...Array.from({ length: said.length }, (_, at) => at).filter(at => at % 3 === 0)]) {
    const client = await disk.connect();
    client.send(said.subarray(0, cut));
    await setImmediate();
    client.send(said.subarray(cut));
    heard.push((await client.readToEnd()).toString('hex'));
  }
  assert.equal(new Set(heard).size, 1);
  assert.ok(heard[0]?.endsWith(Buffer.from('all at once').toString('hex')));
});

test('more extents than fit into an answer are cut, and the client can go on from there (mistake 6)', async () => {
  const lengthBytes = 16 * MIB;
  await using disk = await ServedDisk.open({ lengthBytes });
  for (let at = 0; at < lengthBytes; at += 1024) disk.node.content[at] = 1;
  const client = await disk.attach({ structured: true, contexts: ['base:allocation'] });
  let at = 0;
  for (let answers = 0; at < lengthBytes; answers++) {
    assert.ok(answers < 100);
    client.send(request({ type: CMD.BLOCK_STATUS, offset: at, length: lengthBytes - at }));
    const { payload } = await client.chunk();
    assert.ok(payload.length <= 4 + 8 * 2 ** 20);
    for (let extent = 4; extent < payload.length; extent += 8) at += payload.readUInt32BE(extent);
  }
  assert.equal(at, lengthBytes);
});

test('offset and length that add up past 2^64 are past the end (mistake 10)', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  for (const offset of [2n ** 64n - 1n, 2n ** 64n - 512n, 2n ** 63n, 2n ** 53n + 1n]) {
    client.send(request({ type: CMD.READ, offset, length: 512 }));
    assert.equal((await client.simpleReply()).error, 22);
  }
});

test('requests beyond the limit wait, and answers that nobody reads hold no more than their share (mistake 11)', async () => {
  await using disk = await ServedDisk.open({ lengthBytes: 32 * MIB });
  const client = await disk.attach();
  disk.node.holding = true;
  for (let cookie = 0; cookie < 1000; cookie++) client.send(request({ type: CMD.READ, cookie, length: 512 }));
  await disk.node.reached(256);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(disk.node.log.length, 256);
  disk.node.letGo();
  for (let left = 1000; left > 0; left--) {
    await client.simpleReply();
    await client.read(512);
  }

  client.socket.pause();
  for (let cookie = 0; cookie < 20; cookie++) client.send(request({ type: CMD.READ, cookie, length: 16 * MIB }));
  const before = disk.node.log.length;
  await disk.node.reached(before + 1);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(disk.node.log.length - before, 1, 'an unread answer stops further reads');
  client.socket.resume();
  for (let left = 20; left > 0; left--) {
    assert.equal((await client.simpleReply()).error, 0);
    await client.read(16 * MIB);
  }
});

test('nothing is taken after DISC, and half a write is none (mistakes 13 and 14)', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  const write = request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(4096, 1) });
  client.send(request({ type: CMD.DISC }), write);
  await client.readToEnd();
  const halved = await disk.attach();
  halved.send(write.subarray(0, 3000));
  halved.socket.end();
  assert.equal((await halved.readToEnd()).length, 0);
  assert.deepEqual(disk.node.log, []);
});

test('a client that keeps its connection while the server stops holds up nothing (mistake 15)', async () => {
  const disk = await ServedDisk.open();
  const client = await disk.attach();
  const half = await disk.attach();
  half.send(request({ type: CMD.WRITE, length: 4096 }));
  const stuck = await haggler(disk);
  await disk[Symbol.asyncDispose]();
  assert.equal(disk.server.connections, 0);
  for (const connection of [client, half, stuck]) await connection.readToEnd();
});
