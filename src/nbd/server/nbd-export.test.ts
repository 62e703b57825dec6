import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldNode } from '../../../test/support/held-node.ts';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { CMD, request } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { EBUSY, ESHUTDOWN, ETIMEDOUT } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import { CLOSE_GRACE_MS } from './limits.ts';
import { NbdExport } from './nbd-export.ts';

const SAFE = { mode: 'safe', deadlineMs: 1000 } as const;
const HARD = { mode: 'hard', deadlineMs: 1000 } as const;

test('a second writer of a node is refused by name, readers are not', async () => {
  const node = new HeldNode();
  const options = { node, name: 'x' };
  await using writer = NbdExport.open({ ...options, id: 'first', writable: true });
  assert.throws(
    () => NbdExport.open({ ...options, id: 'second', writable: true }),
    (error: unknown) => {
      return (
        error instanceof UsageError && /export 'first'/.test(error.message) && /export 'second'/.test(error.message)
      );
    },
  );
  await using reader = NbdExport.open({ ...options, id: 'third', writable: false });
  assert.deepEqual([writer.writable, reader.writable], [true, false]);
});

test('a read-only node cannot be exported writable', async () => {
  const node = new HeldNode({ readOnly: true });
  assert.throws(() => NbdExport.open({ id: 'e', name: 'x', node, writable: true }), UsageError);
  assert.equal(node.parents.size, 0);
});

test('a name that NBD cannot carry is refused', async () => {
  const node = new HeldNode();
  for (const name of ['n'.repeat(4097), 'a\0b']) {
    assert.throws(() => NbdExport.open({ id: 'e', name, node, writable: true }), UsageError);
  }
  assert.equal(node.parents.size, 0);
});

test('a safe close is refused while a client is connected, and changes nothing', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  await assert.rejects(
    disk.nbdExport.close(SAFE),
    (error: unknown) =>
      error instanceof UsageError && error.errno === EBUSY && error.message.startsWith("Export 'e0' is still in use"),
  );
  client.send(request({ type: CMD.FLUSH, cookie: 1 }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
});

test('a hard close waits for what is in flight, answers it, and disconnects the clients', async () => {
  await using disk = await ServedDisk.open();
  const busy = await disk.attach();
  const idle = await disk.attach();
  disk.node.holding = true;
  busy.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const closing = disk.nbdExport.close(HARD);
  busy.send(request({ type: CMD.WRITE, cookie: 2, payload: Buffer.alloc(512, 2) }));
  assert.deepEqual(await busy.simpleReply(), { error: ESHUTDOWN, cookie: 2 });
  assert.equal(disk.node.parents.size, 1);
  disk.node.letGo();
  assert.deepEqual(await busy.simpleReply(), { error: 0, cookie: 1 });
  await Promise.all([busy.readToEnd(), idle.readToEnd(), closing]);
  assert.equal(disk.node.parents.size, 0);
  assert.ok(disk.node.content.subarray(0, 512).every(byte => byte === 1));
  await disk.nbdExport.close(HARD);
});

test('a hard close that a request holds up says so at its deadline, and succeeds when tried again', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open({ clock });
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const closing = disk.nbdExport.close(HARD);
  clock.advance(1000);
  await assert.rejects(
    closing,
    (error: unknown) =>
      error instanceof ColobusError && error.errno === ETIMEDOUT && /export 'e0'.*node 'held'/.test(error.message),
  );
  assert.equal(disk.nbdExport.isOpen, false);
  assert.equal(disk.node.parents.size, 1);
  const again = disk.nbdExport.close(HARD);
  disk.node.letGo();
  await again;
  assert.equal(disk.node.parents.size, 0);
});

test('requests that a checkpoint holds back fail when the export is closed', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.nbdExport.backend.hold();
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  client.send(request({ type: CMD.WRITE, cookie: 2, length: 0 }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 2 });
  await disk.nbdExport.close(HARD);
  assert.deepEqual(await client.simpleReply(), { error: ESHUTDOWN, cookie: 1 });
  assert.deepEqual(disk.node.log, []);
});

test('a client that does not take its replies does not hold up a close', async () => {
  const clock = new ManualClock();
  await using disk = await ServedDisk.open({ clock, lengthBytes: 8 * 1024 * 1024 });
  const client = await disk.attach();
  client.socket.pause();
  client.send(request({ type: CMD.READ, length: 8 * 1024 * 1024 }));
  await disk.node.reached(1);
  let closed = false;
  const closing = disk.nbdExport.close(HARD).then(() => {
    closed = true;
  });
  await disk.nbdExport.backend.idle();
  while (!closed) {
    await new Promise(resolve => setImmediate(resolve));
    clock.advance(CLOSE_GRACE_MS);
  }
  await closing;
  assert.equal(disk.nbdExport.connections, 0);
});

test('clients are told of no larger block than the node takes', async () => {
  for (const [limits, minimum, maximum] of [
    [{}, 1, 32 * 1024 * 1024],
    [{ maxTransferBytes: 64 * 1024 }, 1, 64 * 1024],
    [{ maxTransferBytes: 65_000, requestAlignment: 512 }, 512, 64_512],
  ] as const) {
    await using disk = await ServedDisk.open({ limits });
    assert.deepEqual(disk.nbdExport.blockSize, { minimum, preferred: 4096, maximum });
  }
});
