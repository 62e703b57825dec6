import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { HeldNode } from '../../../test/support/held-node.ts';
import { CMD, RawNbdClient, request } from '../../../test/support/raw-nbd-client.ts';
import { ServedDisk } from '../../../test/support/served-disk.ts';
import { TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { UsageError } from '../../base/errors.ts';
import { NbdExport } from './nbd-export.ts';
import { NbdServer } from './nbd-server.ts';

/** Passes where listening at `address` fails with a UsageError that names `parts`. */
async function refused(address: Parameters<typeof NbdServer.listen>[0], ...parts: readonly string[]): Promise<void> {
  await assert.rejects(NbdServer.listen(address), (error: unknown) => {
    assert.ok(error instanceof UsageError);
    for (const part of parts) assert.ok(error.message.includes(part), `'${error.message}' names ${part}`);
    return true;
  });
}

/** A path of `bytes` bytes in `folder`, in folders that exist. */
async function pathOfLength(folder: TemporaryFolder, bytes: number): Promise<string> {
  const inner = `${folder.path}/${'d'.repeat(bytes - folder.path.length - 3)}`;
  await mkdir(inner);
  return `${inner}/s`;
}

test('a unix socket appears private, alone in its folder, and goes with the server', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  const server = await NbdServer.listen({ path });
  assert.deepEqual(await readdir(folder.path), ['socket']);
  const { mode } = await lstat(path);
  assert.equal(mode & 0o777, 0o600);
  using client = await RawNbdClient.connect(path);
  await client.read(18);
  await server[Symbol.asyncDispose]();
  assert.deepEqual(await readdir(folder.path), []);
});

test('a socket path of 107 bytes works wherever its folder is, one of 108 is refused', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = await pathOfLength(folder, 107);
  await using server = await NbdServer.listen({ path });
  using client = await RawNbdClient.connect(path);
  await client.read(18);
  await refused({ path: `${path}s` }, `${path}s`, '108', '107', 'shorter');
  assert.deepEqual(server.address, { path });
});

test('a stale socket is replaced, a live one is in use, another file is left alone', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  {
    await using live = await NbdServer.listen({ path });
    await refused({ path }, path, 'in use');
    assert.deepEqual(live.address, { path });
    using client = await RawNbdClient.connect(path);
    await client.read(18);
  }
  const crashed = createServer();
  crashed.listen(folder.file('bound'));
  await once(crashed, 'listening');
  await leaveBehind(crashed, folder.file('bound'), path);
  await using server = await NbdServer.listen({ path });
  using client = await RawNbdClient.connect(path);
  await client.read(18);
  await writeFile(folder.file('text'), 'precious');
  await refused({ path: folder.file('text') }, 'text', 'not a socket');
  assert.equal((await lstat(folder.file('text'))).size, 8);
  assert.deepEqual((await readdir(folder.path)).sort(), ['socket', 'text']);
  assert.equal(server.connections, 1);
});

/** Leaves at `path` a socket that nobody listens on. */
async function leaveBehind(server: ReturnType<typeof createServer>, bound: string, path: string): Promise<void> {
  await rename(bound, path);
  server.close();
  await once(server, 'close');
  const probe = connect(path);
  const [error] = await once(probe, 'error');
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
}

test('a server that closes leaves the socket of its successor alone', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const path = folder.file('socket');
  const first = await NbdServer.listen({ path });
  await rm(path);
  await using second = await NbdServer.listen({ path });
  await first[Symbol.asyncDispose]();
  using client = await RawNbdClient.connect(path);
  await client.read(18);
  assert.equal(second.connections, 1);
});

test('a socket in a folder that is not there is refused', async () => {
  await refused({ path: '/nonexistent/folder/socket' }, '/nonexistent/folder/socket', 'create it');
});

test('a TCP port in use or an address of another host is refused', async () => {
  await using server = await NbdServer.listen({ host: '127.0.0.1', port: 0 });
  assert.ok('port' in server.address);
  await refused(server.address, `Port ${server.address.port}`, 'in use');
  await refused({ host: '192.0.2.1', port: 0 }, '192.0.2.1');
});

test('URIs name the export and the address', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await using tcp = await NbdServer.listen({ host: '127.0.0.1', port: 0 });
  assert.ok('port' in tcp.address);
  assert.equal(tcp.uri('a b/ä'), `nbd://127.0.0.1:${tcp.address.port}/a%20b%2F%C3%A4`);
  await using unix = await NbdServer.listen({ path: folder.file('a&b socket') });
  assert.equal(unix.uri(''), `nbd+unix:///?socket=${folder.path}/a%26b%20socket`);
});

test('clients above the maximum are turned away until one leaves', async () => {
  await using disk = await ServedDisk.open({ server: { maxConnections: 2 } });
  const first = await disk.attach();
  await disk.attach();
  const third = await disk.connect();
  assert.equal((await third.readToEnd()).length, 0);
  first.send(request({ type: CMD.DISC }));
  await first.readToEnd();
  while (disk.server.connections > 1) await new Promise(resolve => setImmediate(resolve));
  await disk.attach();
});

test('two exports cannot have one name, until the first is removed', async () => {
  await using disk = await ServedDisk.open();
  await using other = NbdExport.open({ id: 'other', name: 'disk', node: new HeldNode(), writable: true });
  assert.throws(() => disk.server.addExport(other), UsageError);
  const client = await disk.attach();
  disk.server.removeExport(disk.nbdExport);
  disk.server.addExport(other);
  assert.deepEqual(disk.server.list(), [other]);
  client.send(request({ type: CMD.FLUSH, cookie: 1 }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
});

test('a server stops under idle and half-open clients', async () => {
  const disk = await ServedDisk.open();
  const clients = [await disk.attach(), await disk.connect(), await disk.connect()];
  for (const client of clients) client.socket.pause();
  await disk.server[Symbol.asyncDispose]();
  for (const client of clients) client.socket.resume();
  await Promise.all(clients.map(client => client.readToEnd()));
  assert.equal(disk.server.connections, 0);
  await disk[Symbol.asyncDispose]();
});

test('a server that stops answers what is in flight first', async () => {
  await using disk = await ServedDisk.open();
  const client = await disk.attach();
  disk.node.holding = true;
  client.send(request({ type: CMD.WRITE, cookie: 1, payload: Buffer.alloc(512, 1) }));
  await disk.node.reached(1);
  const stopped = disk.server[Symbol.asyncDispose]();
  disk.node.letGo();
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
  await stopped;
  await client.readToEnd();
});

test('a thousand clients that connect and reset leave the server as it was', async () => {
  await using disk = await ServedDisk.open();
  for (let round = 0; round < 20; round++) {
    const sockets = Array.from({ length: 50 }, () => connect(disk.path));
    await Promise.all(sockets.map(socket => once(socket, 'connect')));
    // The greeting that nobody read makes the kernel reset the connection.
    for (const socket of sockets) socket.destroy();
    using last = await RawNbdClient.connect(disk.path);
    await last.read(18);
  }
  const client = await disk.attach();
  client.send(request({ type: CMD.FLUSH, cookie: 1 }));
  assert.deepEqual(await client.simpleReply(), { error: 0, cookie: 1 });
});
