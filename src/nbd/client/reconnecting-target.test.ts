import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { CMD, u16, u32 } from '../../../test/support/raw-nbd-client.ts';
import { ScriptedNbdServer, type ScriptedPeer } from '../../../test/support/scripted-nbd-server.ts';
import type { Timer } from '../../base/clock.ts';
import { ECONNRESET, ESHUTDOWN, ETIMEDOUT } from '../../base/errno.ts';
import { ProtocolError, UsageError } from '../../base/errors.ts';
import type { RequestHeader } from '../protocol/request.ts';
import { NbdClient, type NbdClientSettings } from './index.ts';
import type { ReconnectOptions } from './reconnecting-target.ts';

const SIZE = 1024 * 1024;
const BLOCK = 4096;
const PATIENCE_MS = 5000;

type Command = { readonly header: RequestHeader; readonly data: Buffer };

/** Notes for how long timers are set. */
class NotedClock extends ManualClock {
  readonly delaysMs: number[] = [];

  override after(delayMs: number, callback: () => void): Timer {
    this.delaysMs.push(delayMs);
    return super.after(delayMs, callback);
  }
}

/** A server of which the test answers each command by hand, and that it cuts off when it likes. */
class Attended implements AsyncDisposable {
  readonly clock = new NotedClock();
  /** Commands by connection, in the order of their arrival. */
  readonly commands: Command[][] = [];
  sizeBytes = SIZE;
  structured = false;
  /** Ends connections before a word. */
  isDown = false;
  attempts = 0;
  readonly #clients: NbdClient[] = [];
  readonly #peers: ScriptedPeer[] = [];
  #listener: ScriptedNbdServer | null = null;

  static async start(): Promise<Attended> {
    const server = new Attended();
    server.#listener = await ScriptedNbdServer.start(peer => server.#serve(peer));
    return server;
  }

  async connect(reconnect: ReconnectOptions, settings: NbdClientSettings = {}): Promise<NbdClient> {
    const path = this.#listener?.socket ?? '';
    const { clock } = this;
    const options = { clock, reconnect, ...settings };
    const client = await NbdClient.connect({ address: { kind: 'unix', path } }, options);
    this.#clients.push(client);
    return client;
  }

  /** The first `count` commands of the latest connection, once they are there. */
  async received(count: number, connection = this.#peers.length - 1): Promise<readonly Command[]> {
    await until(() => (this.commands[connection]?.length ?? 0) >= count);
    return this.commands[connection] as Command[];
  }

  /** Answers a command on the connection it came by. */
  answer({ header }: Command, error = 0, connection = this.#peers.length - 1): void {
    const data = Buffer.alloc(error === 0 && header.type === CMD.READ ? header.length : 0, 7);
    this.#peer(connection).answer(header, error, data);
  }

  /** Sends raw bytes on the latest connection. */
  send(bytes: Buffer): void {
    this.#peer(this.#peers.length - 1).write(bytes);
  }

  cut(): void {
    this.#peer(this.#peers.length - 1).end();
  }

  /** Lets time pass until the client is on its `count`-th connection. */
  async connected(count: number): Promise<void> {
    await until(() => {
      this.clock.advance(1);
      return this.#peers.length >= count;
    });
  }

  /** Ends the clients too, whatever they wait for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    let open = this.#clients.length;
    for (const client of this.#clients) void client.close().then(() => (open -= 1));
    await until(() => {
      this.clock.advance(1000);
      return open === 0;
    });
  }

  #peer(connection: number): ScriptedPeer {
    return this.#peers[connection] as ScriptedPeer;
  }

  async #serve(peer: ScriptedPeer): Promise<void> {
    this.attempts += 1;
    if (this.isDown) return peer.end();
    await peer.handshake(this.sizeBytes, undefined, this.structured);
    const commands: Command[] = [];
    this.commands.push(commands);
    this.#peers.push(peer);
    for (;;) {
      const command = await peer.command();
      if (command.header.type === CMD.DISC) return peer.end();
      commands.push(command);
    }
  }
}

async function until(holds: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!holds()) {
    assert.ok(performance.now() - startMs < PATIENCE_MS, 'what was waited for never came');
    await setImmediate();
  }
}

/** Resolves when the client knows that its connection is lost. */
async function cut(server: Attended, client: NbdClient): Promise<void> {
  server.cut();
  await until(() => client.failure !== null);
}

const failsWith = (errno: number): { readonly errno: number } => ({ errno });

test('by default requests in flight fail when the connection is lost, and later ones wait for the next', async () => {
  await using server = await Attended.start();
  const client = await server.connect({});
  const lost = [client.read(0, BLOCK), client.write(BLOCK, Buffer.alloc(BLOCK)), client.flush()];
  const failures = lost.map(call => assert.rejects(call, failsWith(ECONNRESET)));
  await server.received(3);
  await cut(server, client);
  await Promise.all(failures);
  const waiting = client.read(0, BLOCK);
  await server.connected(2);
  const [read] = await server.received(1);
  assert.equal(client.failure, null);
  server.answer(read as Command);
  assert.deepEqual(await waiting, Buffer.alloc(BLOCK, 7));
  assert.equal(server.commands[1]?.length, 1, 'nothing was sent again');
});

test('by default the first flush after a loss fails where acknowledged writes may be lost, and only that one', async () => {
  await using server = await Attended.start();
  const client = await server.connect({});
  const write = client.write(0, Buffer.alloc(BLOCK));
  server.answer((await server.received(1))[0] as Command);
  await write;
  await cut(server, client);
  const flush = assert.rejects(client.flush(), failsWith(ECONNRESET));
  await server.connected(2);
  await flush;
  const second = client.flush();
  server.answer((await server.received(1))[0] as Command);
  await second;
});

test('a flush after a loss succeeds where all acknowledged writes were covered by one before', async () => {
  await using server = await Attended.start();
  const client = await server.connect({});
  const write = client.write(0, Buffer.alloc(BLOCK));
  server.answer((await server.received(1))[0] as Command);
  await write;
  const covering = client.flush();
  server.answer((await server.received(2))[1] as Command);
  await covering;
  const durable = client.write(0, Buffer.alloc(BLOCK), { fua: true });
  server.answer((await server.received(3))[2] as Command);
  await durable;
  await cut(server, client);
  const flush = client.flush();
  await server.connected(2);
  server.answer((await server.received(1))[0] as Command);
  await flush;
});

test('with replay, requests in flight are sent again as they were, and complete once', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ inFlight: 'replay' });
  const data = Buffer.alloc(BLOCK, 'data');
  const calls = [
    client.write(BLOCK, data, { fua: true }),
    client.read(4 * BLOCK, BLOCK),
    client.writeZeroes(8 * BLOCK, BLOCK),
  ];
  const before = await server.received(3);
  await cut(server, client);
  await server.connected(2);
  const again = await server.received(3);
  const shape = ({ header: { type, flags, offset, length }, data: payload }: Command): unknown[] => {
    return [type, flags, offset, length, payload.toString()];
  };
  assert.deepEqual(again.map(shape), before.map(shape));
  for (const command of again) server.answer(command);
  await Promise.all(calls);
});

for (const [what, issue] of [
  ['a later write', (client: NbdClient) => client.write(BLOCK / 2, Buffer.alloc(BLOCK))],
  ['a later read', (client: NbdClient) => client.read(0, 1)],
  ['later zeroes', (client: NbdClient) => client.writeZeroes(BLOCK - 1, BLOCK)],
] as const) {
  for (const isAnswered of [true, false]) {
    test(`with replay, a write whose range was touched by ${what}, ${isAnswered ? 'answered' : 'in flight'}, fails instead`, async () => {
      await using server = await Attended.start();
      const client = await server.connect({ inFlight: 'replay' });
      const overtaken = assert.rejects(client.write(0, Buffer.alloc(BLOCK)), failsWith(ECONNRESET));
      const apart = client.write(2 * BLOCK, Buffer.alloc(BLOCK));
      const later = issue(client);
      const [, , laterCommand] = await server.received(3);
      if (isAnswered) {
        server.answer(laterCommand as Command);
        await later;
      }
      await cut(server, client);
      await overtaken;
      await server.connected(2);
      const again = await server.received(isAnswered ? 1 : 2);
      assert.deepEqual(again[0]?.header.offset, 2 * BLOCK, 'what nobody touched is sent again');
      for (const command of again) server.answer(command);
      await Promise.all([apart, later]);
    });
  }
}

test('with replay, a request is sent again once', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ inFlight: 'replay' });
  const read = assert.rejects(client.read(0, BLOCK), failsWith(ECONNRESET));
  await server.received(1);
  await cut(server, client);
  await server.connected(2);
  await server.received(1);
  await cut(server, client);
  await read;
});

test('with replay, half of an answer to a block status counts for nothing', async () => {
  await using server = await Attended.start();
  server.structured = true;
  const client = await server.connect({ inFlight: 'replay' });
  const chunkOf = ({ header }: Command, ...extents: readonly (readonly [number, number])[]): Buffer => {
    const payload = Buffer.concat([u32(5), ...extents.flatMap(extent => extent.map(u32))]);
    const cookie = [u32(header.cookieHigh), u32(header.cookieLow)];
    return Buffer.concat([u32(0x668e33ef), u16(1), u16(5), ...cookie, u32(payload.length), payload]);
  };
  for (const ask of ['blockStatus', 'metadata'] as const) {
    const asked = client[ask](0, 4 * BLOCK);
    const first = (await server.received(1)).at(-1) as Command;
    const whole = chunkOf(first, [BLOCK, 3], [BLOCK, 0], [2 * BLOCK, 3]);
    server.send(whole.subarray(0, -8));
    const connections = server.commands.length;
    await cut(server, client);
    await server.connected(connections + 1);
    const again = (await server.received(1)).at(-1) as Command;
    server.send(chunkOf(again, [2 * BLOCK, 0], [2 * BLOCK, 3]));
    const answer = await asked;
    const extents = answer instanceof Map ? answer.get('base:allocation') : answer;
    assert.deepEqual(
      [...extents].map(({ offset, length }: { offset: number; length: number }) => [offset, length]),
      [
        [0, 2 * BLOCK],
        [2 * BLOCK, 2 * BLOCK],
      ],
    );
    await cut(server, client);
    await server.connected(connections + 2);
  }
});

test('a request that timed out is not sent again', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ inFlight: 'replay' }, { requestTimeoutMs: 1000, flushTimeoutMs: 60_000 });
  const late = assert.rejects(client.write(0, Buffer.alloc(BLOCK)), failsWith(ETIMEDOUT));
  const flush = client.flush();
  await server.received(2);
  await until(() => {
    server.clock.advance(50);
    return client.failure !== null;
  });
  await late;
  await server.connected(2);
  const again = await server.received(1);
  assert.deepEqual(
    again.map(({ header }) => header.type),
    [CMD.FLUSH],
  );
  server.answer(again[0] as Command);
  await flush;
});

for (const inFlight of ['fail', 'replay'] as const) {
  test(`with ${inFlight}, what a server refused because it shuts down is sent to its successor`, async () => {
    await using server = await Attended.start();
    const client = await server.connect({ inFlight });
    const read = client.read(0, BLOCK);
    server.answer((await server.received(1))[0] as Command, ESHUTDOWN);
    await server.connected(2);
    server.answer((await server.received(1))[0] as Command);
    assert.deepEqual(await read, Buffer.alloc(BLOCK, 7));
  });
}

test('requests wait for the connection for as long as they were told to, and then fail at once until it is back', async () => {
  const changes: string[] = [];
  await using server = await Attended.start();
  const client = await server.connect({
    holdMs: 3000,
    onChange: failure => changes.push(failure === null ? 'back' : failure.constructor.name),
  });
  server.isDown = true;
  await cut(server, client);
  const held = assert.rejects(client.read(0, BLOCK), failsWith(ECONNRESET));
  server.clock.advance(2999);
  await setImmediate();
  server.clock.advance(1);
  await held;
  await assert.rejects(client.read(0, BLOCK), failsWith(ECONNRESET));
  server.isDown = false;
  await server.connected(2);
  await until(() => client.failure === null);
  const read = client.read(0, BLOCK);
  server.answer((await server.received(1))[0] as Command);
  await read;
  assert.deepEqual(changes, ['ColobusError', 'back']);
});

test('attempts come after pauses that double up to a maximum', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ firstPauseMs: 100, maxPauseMs: 1000, holdMs: 2 ** 30 });
  server.isDown = true;
  server.clock.delaysMs.length = 0;
  await cut(server, client);
  await until(() => {
    server.clock.advance(1);
    return server.attempts === 8;
  });
  const pauses = server.clock.delaysMs.filter(delayMs => delayMs <= 1000);
  assert.deepEqual(pauses.slice(0, 7), [0, 100, 200, 400, 800, 1000, 1000]);
});

test('another export in place of the one before ends the client with a protocol error', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ inFlight: 'replay' });
  const read = client.read(0, BLOCK);
  await server.received(1);
  server.sizeBytes = SIZE / 2;
  await cut(server, client);
  const failed = assert.rejects(read, (error: unknown) => {
    return error instanceof ProtocolError && /not the one that was connected to before/.test(error.message);
  });
  await server.connected(2);
  await failed;
  await assert.rejects(client.read(0, BLOCK), failsWith(ESHUTDOWN));
  assert.ok(client.failure instanceof ProtocolError);
});

test('a client that is closed while it waits does not wait any longer', async () => {
  await using server = await Attended.start();
  const client = await server.connect({});
  server.isDown = true;
  await cut(server, client);
  const held = assert.rejects(client.read(0, BLOCK), failsWith(ESHUTDOWN));
  await client.close();
  await held;
  const { attempts } = server;
  server.clock.advance(60_000);
  await setImmediate();
  assert.equal(server.attempts, attempts, 'it makes no more attempts');
});

test('a client whose connection is lost while it closes does not connect again', async () => {
  await using server = await Attended.start();
  const client = await server.connect({ inFlight: 'replay' });
  const read = assert.rejects(client.read(0, BLOCK), failsWith(ECONNRESET));
  await server.received(1);
  const closed = client.close();
  server.cut();
  await read;
  await closed;
  assert.equal(server.attempts, 1);
});

for (const wrong of [{ holdMs: -1 }, { firstPauseMs: Number.NaN }, { maxPauseMs: 2 ** 31 }]) {
  test(`reconnecting with ${JSON.stringify(wrong)} is refused`, async () => {
    await using server = await Attended.start();
    await assert.rejects(server.connect(wrong), UsageError);
    assert.equal(server.attempts, 0);
  });
}
