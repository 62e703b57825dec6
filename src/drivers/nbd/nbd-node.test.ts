import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { NbdPeer } from '../../../test/support/nbd-peer.ts';
import { ScriptedNbdServer } from '../../../test/support/scripted-nbd-server.ts';
import { type Deferred, deferred } from '../../base/deadline.ts';
import { ECONNRESET, EINVAL, EPERM, ESHUTDOWN } from '../../base/errno.ts';
import { UsageError } from '../../base/errors.ts';
import { BlockBackend } from '../../block/block-backend.ts';
import { READ_SHARED, WRITE_EXCLUSIVE } from '../../block/block-edge.ts';
import { BlockGraph } from '../../block/block-graph.ts';
import { type BlockRequest, type RequestKind, type RequestOwner, takeRequest } from '../../block/block-request.ts';
import type { NodeDefinition } from '../../block/driver.ts';
import * as wire from '../../nbd/protocol/constants.ts';
import { drivers } from '../index.ts';
import { NbdNode, nbdDriver } from './nbd-node.ts';

const MIB = 1024 * 1024;

const graphWithNbd = (): BlockGraph => new BlockGraph({ drivers: [nbdDriver] });
const definition = (server: object, rest: object = {}): NodeDefinition => ({
  driver: 'nbd',
  'node-name': 'remote',
  server,
  ...rest,
});
const unixAddress = (peer: { readonly socket: string }): object => ({ type: 'unix', path: peer.socket });

/** Submits one request to `backend` and resolves with the request when it has completed. */
function perform(backend: BlockBackend, kind: RequestKind, length: number, data?: Buffer): Promise<BlockRequest> {
  const done: Deferred<BlockRequest> = deferred();
  const owner: RequestOwner = { requestDone: done.resolve };
  const request = takeRequest(kind, owner);
  request.length = length;
  request.buffer = data ?? Buffer.alloc(length);
  backend.submit(request);
  return done.promise;
}

async function addNbd(graph: BlockGraph, wanted: NodeDefinition): Promise<NbdNode> {
  const node = await graph.add(wanted);
  assert.ok(node instanceof NbdNode);
  return node;
}

function release(backend: BlockBackend): void {
  backend.close();
  backend.detach();
}

test('a node has the size of its export and serves it', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '3M');
  await using graph = graphWithNbd();
  const node = await addNbd(graph, definition(unixAddress(peer)));
  assert.equal(node.lengthBytes, 3 * MIB);
  assert.equal(node.limits.maxTransferBytes, 32 * MIB);
  const backend = new BlockBackend("export 'test'", node, WRITE_EXCLUSIVE);
  const data = Buffer.alloc(5000, 7);
  assert.equal((await perform(backend, 'write', data.length, data)).errno, 0);
  assert.deepEqual((await perform(backend, 'read', data.length)).buffer, data);
  assert.equal((await perform(backend, 'flush', 0)).errno, 0);
  release(backend);
});

test('the limits of the server are the limits of the node', async () => {
  const sizes = ['blocksize-minimum=512', 'blocksize-preferred=4096', 'blocksize-maximum=65536'];
  await using peer = await NbdPeer.nbdkit('--filter=blocksize-policy', 'memory', '1M', ...sizes);
  await using graph = graphWithNbd();
  const node = await addNbd(graph, definition(unixAddress(peer)));
  assert.deepEqual(node.limits, {
    requestAlignment: 512,
    maxTransferBytes: 65536,
    fastZeroes: true,
    requestTimeoutMs: 5000,
  });
  const backend = new BlockBackend("export 'test'", node, WRITE_EXCLUSIVE);
  assert.equal((await perform(backend, 'write', 65536)).errno, 0);
  assert.equal((await perform(backend, 'write', 65536 + 512)).errno, EINVAL);
  assert.equal((await perform(backend, 'write', 100)).errno, EINVAL);
  release(backend);
});

test('several connections are opened where the server allows them, but not below a replicated disk', async () => {
  await using peer = await NbdPeer.nbdkit('--filter=multi-conn', 'memory', '1M', 'multi-conn-mode=emulate');
  await using graph = new BlockGraph({ drivers });
  const remote = definition(unixAddress(peer), { connections: 3 });
  const node = await addNbd(graph, remote);
  assert.equal(node.limits.isParallel, true);
  await graph.add({ driver: 'memory', 'node-name': 'local', size: MIB });
  const children = ['local', 'remote'];
  await assert.rejects(graph.add({ driver: 'replication', 'node-name': 'root', children }), /set its connections to 1/);
  await using single = await NbdPeer.nbdkit('--filter=multi-conn', 'memory', '1M', 'multi-conn-mode=disable');
  const alone = await graph.add({ ...definition(unixAddress(single), { connections: 3 }), 'node-name': 'alone' });
  assert.equal(alone.limits.isParallel, undefined);
  await graph.add({ driver: 'replication', 'node-name': 'root', children: ['local', 'alone'] });
});

test('a read-only export needs a read-only node', async () => {
  await using peer = await NbdPeer.nbdkit('--readonly', 'memory', '1M');
  await using graph = graphWithNbd();
  await assert.rejects(graph.add(definition(unixAddress(peer))), error => {
    return error instanceof UsageError && /open the node with read-only=on/.test(error.message);
  });
  const node = await addNbd(graph, definition(unixAddress(peer), { 'read-only': true }));
  const backend = new BlockBackend("export 'test'", node, READ_SHARED);
  assert.equal((await perform(backend, 'write', 512)).errno, EPERM);
  assert.equal((await perform(backend, 'read', 512)).errno, 0);
  release(backend);
});

test('an address where nobody listens is an error that names node and address', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '1M');
  await using graph = graphWithNbd();
  const path = join(peer.directory, 'other');
  await assert.rejects(graph.add(definition({ type: 'unix', path })), error => {
    return error instanceof Error && /^Node 'remote': Cannot connect .*other: no such socket/.test(error.message);
  });
  await assert.rejects(graph.add(definition({ type: 'inet', host: '127.0.0.1', port: '1' })), /connection refused/);
  assert.equal(graph.find('remote'), undefined);
});

test('the export is asked for by name', async () => {
  await using peer = await NbdPeer.nbdkit(
    '--filter=exportname',
    'memory',
    '1M',
    'exportname=disk',
    'exportname-strict=true',
  );
  await using graph = graphWithNbd();
  await assert.rejects(graph.add(definition(unixAddress(peer))), /no export ''|refused/);
  await addNbd(graph, definition(unixAddress(peer), { export: 'disk' }));
});

for (const [what, options, told] of [
  ['no server', { server: undefined }, /'server' is missing/],
  [
    'a server of unknown type',
    { server: { type: 'fd', str: '3' } },
    /Parameter 'type' does not accept value 'fd'; it takes inet, unix/,
  ],
  [
    'a port that is none',
    { server: { type: 'inet', host: 'a', port: 'nbd' } },
    /'server.port': a port is a number from 1 to 65535/,
  ],
  ['a unix socket without path', { server: { type: 'unix' } }, /'server.path' is missing/],
  [
    'a port out of range',
    { server: { type: 'inet', host: 'a', port: 65536 } },
    /'server.port': a port is a number from 1 to 65535/,
  ],
  ['no connection at all', { connections: 0 }, /'connections'/],
  ['a negative time to reconnect', { 'reconnect-delay': -1 }, /'reconnect-delay'/],
  ['an unknown option', { colour: 'red' }, /'colour' is unexpected/],
  ['unknown credentials', { 'tls-creds': 'tls0' }, /No TLS credentials with id 'tls0'/],
  ['a host for TLS without credentials', { 'tls-hostname': 'a' }, /'tls-hostname' is of use with 'tls-creds' only/],
  ['a timeout of 0', { 'request-timeout': 0 }, /'request-timeout'/],
] as const) {
  test(`${what} among the options is refused by name`, async () => {
    await using graph = graphWithNbd();
    const wanted = definition({ type: 'unix', path: '/nonexistent' }, options);
    await assert.rejects(graph.add(wanted), error => error instanceof UsageError && told.test(error.message));
  });
}

for (const server of [
  { type: 'inet', host: '::1', port: '10809' },
  { type: 'inet', host: '::1', port: 10809 },
  { type: 'inet', data: { host: '::1', port: '10809' } },
]) {
  test(`the address ${JSON.stringify(server)} is understood`, () => {
    const parsed = nbdDriver.options.parse({ server });
    assert.deepEqual(parsed.server, { kind: 'inet', host: '::1', port: 10809 });
    assert.deepEqual(
      [parsed.export, parsed['open-timeout'], parsed['request-timeout'], parsed['flush-timeout']],
      ['', 0, 5000, 30_000],
    );
  });
}

test('a loss is told before the requests that it fails', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(MIB);
    const { header } = await peer.command();
    assert.equal(header.type, wire.NBD_CMD_WRITE);
    peer.end();
  });
  await using graph = graphWithNbd();
  const node = await addNbd(graph, definition(unixAddress(server)));
  const order: string[] = [];
  node.onFailure(() => order.push('lost'));
  const backend = new BlockBackend("export 'test'", node, WRITE_EXCLUSIVE);
  order.push(`write: ${(await perform(backend, 'write', 512)).errno}`);
  order.push(`write: ${(await perform(backend, 'write', 512)).errno}`);
  assert.deepEqual(order, ['lost', `write: ${ECONNRESET}`, `write: ${ESHUTDOWN}`]);
  release(backend);
  node.onFailure(() => order.push('told late'));
  assert.equal(order.at(-1), 'told late');
});

test('an abandoned node cuts its connection at once and tells of it', async () => {
  await using server = await ScriptedNbdServer.start(peer => peer.handshake(MIB));
  await using graph = graphWithNbd();
  const node = await addNbd(graph, definition(unixAddress(server)));
  const reasons: string[] = [];
  node.onFailure(reason => reasons.push(reason));
  const backend = new BlockBackend("export 'test'", node, WRITE_EXCLUSIVE);
  const write = perform(backend, 'write', 512);
  node.abandon('forwarding has ended');
  assert.deepEqual(reasons, ["Node 'remote': forwarding has ended"]);
  assert.equal((await write).errno, ECONNRESET);
  release(backend);
});

test('removing a node is no loss', async () => {
  await using peer = await NbdPeer.nbdkit('memory', '1M');
  await using graph = graphWithNbd();
  const node = await addNbd(graph, definition(unixAddress(peer)));
  const reasons: string[] = [];
  node.onFailure(reason => reasons.push(reason));
  await graph.remove('remote');
  assert.deepEqual(reasons, []);
});
