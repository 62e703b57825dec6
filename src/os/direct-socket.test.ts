import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { deferred } from '../base/deadline.ts';
import { DirectSocket, type Piece } from './direct-socket.ts';

/** Two ends of a unix socket, neither of which Node reads from. */
class SocketPair implements AsyncDisposable {
  readonly near: Socket;
  readonly far: Socket;
  readonly #server: Server;
  readonly #folder: TemporaryFolder;

  private constructor(near: Socket, far: Socket, server: Server, folder: TemporaryFolder) {
    this.near = near;
    this.far = far;
    this.#server = server;
    this.#folder = folder;
  }

  static async open(): Promise<SocketPair> {
    const folder = await TemporaryFolder.create();
    const path = folder.file('socket');
    const server = createServer({ pauseOnConnect: true }).listen(path);
    await once(server, 'listening');
    const near = connect({ path });
    const [far] = (await once(server, 'connection')) as [Socket];
    if (near.connecting) await once(near, 'connect');
    near.pause();
    return new SocketPair(near, far, server, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.near.destroy();
    this.far.destroy();
    this.#server.close();
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** `count` pieces of `length` bytes each, out of one buffer; each byte tells its piece. */
function numberedPieces(count: number, length: number): readonly Piece[] {
  return Array.from({ length: count }, (_, number) => ({
    bytes: Buffer.alloc(length + 20, number & 0xff),
    from: 10,
    to: 10 + length,
  }));
}

const contentOf = (pieces: readonly Piece[]): Buffer =>
  Buffer.concat(pieces.map(({ bytes, from, to }) => bytes.subarray(from, to)));

async function readBytes(socket: Socket, count: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let have = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    have += chunk.length;
    if (have >= count) break;
  }
  return Buffer.concat(chunks);
}

const unexpected = (): never => assert.fail('The kernel had taken all');

test('what the kernel takes is sent when the call returns, in any number of pieces', async () => {
  await using pair = await SocketPair.open();
  const pieces = numberedPieces(150, 100);
  assert.equal(new DirectSocket(pair.near).send(pieces, unexpected), true);
  const target = Buffer.alloc(20_000);
  assert.equal(new DirectSocket(pair.far).receive(target, 7, 19_000), 15_000);
  assert.deepEqual(target.subarray(7, 15_007), contentOf(pieces));
});

test('what the kernel does not take is sent by the stream, in order with what comes later', async () => {
  await using pair = await SocketPair.open();
  const direct = new DirectSocket(pair.near);
  const [first, second] = [numberedPieces(100, 50_000), numberedPieces(3, 1000)];
  const sent = [deferred<void>(), deferred<void>()] as const;
  assert.equal(direct.send(first, sent[0].resolve), false);
  assert.equal(direct.send(second, sent[1].resolve), false);
  const expected = Buffer.concat([contentOf(first), contentOf(second)]);
  assert.ok((await readBytes(pair.far, expected.length)).equals(expected));
  await sent[0].promise;
  await sent[1].promise;
});

test('nothing overtakes what the stream still has to send', async () => {
  await using pair = await SocketPair.open();
  pair.near.cork();
  pair.near.write('earlier');
  const later = Buffer.from(', later');
  const sent = deferred<void>();
  const pieces = [{ bytes: later, from: 0, to: later.length }];
  assert.equal(new DirectSocket(pair.near).send(pieces, sent.resolve), false);
  pair.near.uncork();
  await sent.promise;
  assert.equal((await readBytes(pair.far, 14)).toString(), 'earlier, later');
});

test('where nothing has come, the peer has gone or the socket is closed there is nothing to receive', async () => {
  await using pair = await SocketPair.open();
  const direct = new DirectSocket(pair.near);
  const target = Buffer.alloc(100);
  assert.equal(direct.receive(target, 0, 100), 0);
  pair.far.end('last words');
  await once(pair.far, 'finish');
  assert.equal(direct.receive(target, 0, 100), 10);
  assert.equal(direct.receive(target, 0, 100), 0);
  pair.near.destroy();
  assert.equal(direct.receive(target, 0, 100), 0);
});

for (const syscall of ['read', 'write']) {
  test(`a connection that the peer has reset is told by the stream as reset, not as ended, by a ${syscall}`, async () => {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    const [far] = (await once(server, 'connection')) as [Socket];
    if (near.connecting) await once(near, 'connect');
    near.pause();
    far.resetAndDestroy();
    await once(far, 'close');
    const failed = once(near, 'error');
    const direct = new DirectSocket(near);
    if (syscall === 'read') {
      assert.equal(direct.receive(Buffer.alloc(100), 0, 100), 0);
    } else {
      const sent = deferred<void>();
      assert.equal(direct.send(numberedPieces(3, 10), sent.resolve), false);
      await sent.promise;
    }
    const [error] = await failed;
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(error.syscall, syscall);
    server.close();
  });
}

test('what is no plain socket sends all itself, and nothing is received past it', async () => {
  await using pair = await SocketPair.open();
  const through = new PassThrough();
  const pieces = numberedPieces(3, 10);
  for (const { direct, farEnd } of [
    { direct: new DirectSocket(pair.near, true), farEnd: pair.far },
    { direct: new DirectSocket(through), farEnd: through },
  ]) {
    const sent = deferred<void>();
    assert.equal(direct.send(pieces, sent.resolve), false);
    await sent.promise;
    const received = farEnd.read() ?? (await once(farEnd, 'readable').then(() => farEnd.read()));
    assert.deepEqual(received, contentOf(pieces));
  }
  pair.far.write('bytes that only the stream may read');
  assert.equal(new DirectSocket(pair.near, true).receive(Buffer.alloc(10), 0, 10), 0);
});
