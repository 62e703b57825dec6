import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { CMD, request } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { EIO, ESHUTDOWN } from '../../base/errno.ts';
import { STOP_DEADLINE_MS } from './limits.ts';

test('a server that stops answers what is in flight, and refuses what comes then with ESHUTDOWN', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const stopped = disk.server[Symbol.asyncDispose]();
  client.send(
    request({ type: CMD.WRITE, cookie: 2, payload: Buffer.alloc(4096, 2) }),
    request({ type: CMD.READ, cookie: 3, length: 512 }),
    request({ type: CMD.FLUSH, cookie: 4 }),
  );
  for (const cookie of [2, 3, 4]) assert.deepEqual(await client.simpleReply(), { error: ESHUTDOWN, cookie });
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  assert.equal((await client.readToEnd()).length, 0);
  await stopped;
  assert.equal(disk.node.log.length, 1);
});

test('a disk that fails with ESHUTDOWN fails the request, and does not make the client take leave', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.errno = ESHUTDOWN;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  assert.deepEqual(await client.simpleReply(), { error: EIO, cookie: 1 });
});

test('a client that takes leave while the server stops is let go at once', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const stopped = disk.server[Symbol.asyncDispose]();
  client.send(request({ type: CMD.DISC }));
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  await client.readToEnd();
  await stopped;
});

test('a request that does not return holds up the end of the server for a time only', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open({ clock });
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const stopped = disk.server[Symbol.asyncDispose]();
  clock.advance(STOP_DEADLINE_MS - 1);
  assert.equal(disk.server.connections, 1);
  await Promise.resolve();
  clock.advance(1);
  await stopped;
  assert.equal((await client.readToEnd()).length, 0);
});
