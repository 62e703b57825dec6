/** The NBD client against servers that break off, lie or fall silent. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BufferPool } from '../../src/base/buffer-pool.ts';
import { type Deferred, deferred } from '../../src/base/deadline.ts';
import { ECONNRESET, ESHUTDOWN, ETIMEDOUT } from '../../src/base/errno.ts';
import { ColobusError, ProtocolError } from '../../src/base/errors.ts';
import { type BlockRequest, type RequestKind, type RequestOwner, takeRequest } from '../../src/block/block-request.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { MAX_IN_FLIGHT, NbdConnection, type NbdConnectionOptions } from '../../src/nbd/client/nbd-connection.ts';
import { RequestAdapter } from '../../src/nbd/client/request-adapter.ts';
import * as wire from '../../src/nbd/protocol/constants.ts';
import { GREETING_BYTES } from '../../src/nbd/protocol/greeting.ts';
import { encodeInfoReply } from '../../src/nbd/protocol/info-reply.ts';
import {
  ALL_FLAGS,
  haggling,
  type Script,
  ScriptedNbdServer,
  type ScriptedPeer,
} from '../support/scripted-nbd-server.ts';

const SIZE = 1024 * 1024;
const TIMEOUT = { timeout: 60_000 };

/** Notes the order in which requests and the connection end. */
class Journal implements RequestOwner {
  readonly entries: string[] = [];
  readonly #all: Deferred<void> = deferred();
  readonly #awaited: number;

  constructor(awaited: number) {
    this.#awaited = awaited;
  }

  /** Resolves when `awaited` requests have completed. */
  get finished(): Promise<void> {
    return this.#all.promise;
  }

  closed(error: ColobusError | null): void {
    this.entries.push(`closed ${error === null ? 'in peace' : error.constructor.name}`);
  }

  requestDone(request: BlockRequest): void {
    this.entries.push(`${request.kind} ${request.errno}`);
    if (this.entries.filter(entry => !entry.startsWith('closed')).length === this.#awaited) this.#all.resolve();
  }
}

function request(kind: RequestKind, owner: RequestOwner, length = 512): BlockRequest {
  const taken = takeRequest(kind, owner);
  taken.length = length;
  taken.buffer = Buffer.alloc(length);
  taken.markSubmitted();
  return taken;
}

async function connection(
  server: ScriptedNbdServer,
  options: Partial<NbdConnectionOptions> = {},
): Promise<NbdConnection> {
  return await NbdConnection.open({ address: { kind: 'unix', path: server.socket }, ...options });
}

/** Serves the export's handshake and then answers what it understands, for as long as the client stays. */
const honest: Script = async peer => {
  await peer.handshake(SIZE, ALL_FLAGS, false);
  for (;;) {
    const { header } = await peer.command();
    if (header.type === wire.NBD_CMD_DISC) return peer.end();
    peer.answer(header, 0, Buffer.alloc(header.type === wire.NBD_CMD_READ ? header.length : 0, 1));
  }
};

const silent: Script = async peer => {
  await peer.handshake(SIZE);
  for (;;) await peer.command();
};

test('a connection cut at any byte of the handshake is an error, and quickly', TIMEOUT, async () => {
  await using server = await ScriptedNbdServer.start(honest);
  const handshakeBytes = GREETING_BYTES + 20 + 20 + (20 + 12) + 20;
  for (server.cutAfter = 0; server.cutAfter < handshakeBytes; server.cutAfter++) {
    await assert.rejects(connection(server), error => error instanceof ColobusError);
  }
  server.cutAfter = handshakeBytes + 1;
  await (await connection(server)).close();
});

for (const [what, come] of [
  ['structured replies and contexts', async server => (await connection(server)).close()],
  [
    'a question about the export',
    async server => {
      await NbdClient.info({ address: { kind: 'unix', path: server.socket } });
    },
  ],
] as const satisfies readonly (readonly [string, (server: ScriptedNbdServer) => Promise<void>])[]) {
  test(`a connection cut at any byte of a handshake with ${what} is an error`, TIMEOUT, async () => {
    await using server = await ScriptedNbdServer.start(async peer => {
      await peer.handshake(SIZE);
      await peer.command();
      peer.end();
    });
    const endings: boolean[] = [];
    // What comes behind the last byte of the handshake is not of the handshake.
    for (server.cutAfter = 0; endings.at(-1) !== true; server.cutAfter++) {
      const failed = await come(server).then(
        () => false,
        (error: unknown) => error instanceof ColobusError,
      );
      endings.push(!failed);
    }
    const leastBytes = GREETING_BYTES + 20 + 20 + (20 + 12) + 20;
    assert.ok(endings.length > leastBytes, `it succeeded at ${endings.length - 1} bytes`);
  });
}

test('a connection cut at any byte of the answers fails exactly what was not answered', TIMEOUT, async () => {
  await using server = await ScriptedNbdServer.start(honest);
  const handshakeBytes = GREETING_BYTES + 20 + 20 + (20 + 12) + 20;
  const writeBytes = 16;
  const readBytes = 16 + 20;
  for (let cut = 1; cut <= writeBytes + readBytes + 1; cut++) {
    server.cutAfter = handshakeBytes + cut;
    await using nbd = await connection(server);
    const journal = new Journal(2);
    nbd.onClose = error => journal.closed(error);
    nbd.submit(request('write', journal));
    nbd.submit(request('read', journal, 20));
    await journal.finished;
    const lost = 'closed ColobusError';
    const expected =
      cut < writeBytes
        ? [lost, `write ${ECONNRESET}`, `read ${ECONNRESET}`]
        : cut < writeBytes + readBytes
          ? ['write 0', lost, `read ${ECONNRESET}`]
          : ['write 0', 'read 0'];
    assert.deepEqual(journal.entries.slice(0, expected.length), expected, `cut after ${cut} bytes`);
  }
});

test('a server that is silent from the start is given up at the open deadline', async () => {
  await using server = await ScriptedNbdServer.start(async () => {});
  await assert.rejects(connection(server, { openTimeoutMs: 200 }), { errno: ETIMEDOUT });
});

test('an expired request ends the connection: it times out, and then the others are reset', async () => {
  await using server = await ScriptedNbdServer.start(silent);
  await using nbd = await connection(server, { requestTimeoutMs: 200 });
  const journal = new Journal(3);
  nbd.onClose = error => journal.closed(error);
  nbd.submit(request('flush', journal, 0));
  nbd.submit(request('write', journal));
  nbd.submit(request('read', journal));
  await journal.finished;
  const ended = ['closed ColobusError', `write ${ETIMEDOUT}`, `read ${ETIMEDOUT}`, `flush ${ECONNRESET}`];
  assert.deepEqual(journal.entries, ended);
  nbd.submit(request('write', journal));
  assert.equal(journal.entries.at(-1), `write ${ESHUTDOWN}`);
});

test('a request that waits for a place in the pipeline expires as well', async () => {
  await using server = await ScriptedNbdServer.start(silent);
  await using nbd = await connection(server, { requestTimeoutMs: 200 });
  const journal = new Journal(MAX_IN_FLIGHT + 40);
  for (let i = 0; i < MAX_IN_FLIGHT; i++) nbd.submit(request('flush', journal, 0));
  for (let i = 0; i < 40; i++) nbd.submit(request('write', journal));
  assert.equal(nbd.inFlight, MAX_IN_FLIGHT + 40);
  await journal.finished;
  // The oldest has expired, which ends the connection; those a moment younger fail with it.
  const writes = journal.entries.filter(entry => entry.startsWith('write '));
  assert.ok(writes.includes(`write ${ETIMEDOUT}`));
  assert.deepEqual(
    writes.filter(entry => entry !== `write ${ETIMEDOUT}` && entry !== `write ${ECONNRESET}`),
    [],
  );
  assert.equal(writes.length, 40);
});

test('a server that trickles data does not get around the deadline', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(SIZE, ALL_FLAGS, false);
    const { header } = await peer.command();
    peer.answer(header, 0, Buffer.alloc(10));
    const timer = setInterval(() => peer.write(Buffer.alloc(1)), 10);
    await peer.read(1).catch(() => clearInterval(timer));
  });
  await using nbd = await connection(server, { requestTimeoutMs: 200 });
  const journal = new Journal(1);
  nbd.submit(request('read', journal, 4096));
  await journal.finished;
  assert.deepEqual(journal.entries, [`read ${ETIMEDOUT}`]);
});

test('bytes nobody asked for end the connection', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(SIZE);
    peer.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
  });
  const ended = deferred<unknown>();
  // They may come with the end of the handshake or behind it.
  connection(server).then(nbd => {
    nbd.onClose = ended.resolve;
  }, ended.resolve);
  assert.ok((await ended.promise) instanceof ProtocolError);
});

test('an answer to a wrong cookie ends the connection before the request fails', async () => {
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(SIZE);
    const { header } = await peer.command();
    peer.answer({ ...header, cookieHigh: header.cookieHigh + 1 });
  });
  await using nbd = await connection(server);
  const journal = new Journal(1);
  nbd.onClose = error => journal.closed(error);
  nbd.submit(request('write', journal));
  await journal.finished;
  assert.deepEqual(journal.entries, ['closed ProtocolError', `write ${ECONNRESET}`]);
});

test('an abort fails what is in flight at once, after telling', async () => {
  await using server = await ScriptedNbdServer.start(silent);
  await using nbd = await connection(server);
  const journal = new Journal(2);
  nbd.onClose = error => journal.closed(error);
  nbd.submit(request('write', journal));
  nbd.submit(request('read', journal));
  nbd.abort(new ColobusError('No longer wanted'));
  nbd.abort(new ColobusError('Really'));
  assert.deepEqual(journal.entries, ['closed ColobusError', `write ${ECONNRESET}`, `read ${ECONNRESET}`]);
});

test('close waits for what is in flight, says goodbye and refuses what comes later', async () => {
  const commands: number[] = [];
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(SIZE);
    for (;;) {
      const { header } = await peer.command();
      commands.push(header.type);
      if (header.type === wire.NBD_CMD_DISC) return peer.end();
      peer.answer(header);
    }
  });
  const nbd = await connection(server);
  const journal = new Journal(2);
  nbd.onClose = error => journal.closed(error);
  nbd.submit(request('write', journal));
  const closing = nbd.close();
  nbd.submit(request('write', journal));
  await closing;
  await nbd.close();
  assert.deepEqual(journal.entries, [`write ${ESHUTDOWN}`, 'write 0', 'closed in peace']);
  assert.deepEqual(commands, [wire.NBD_CMD_WRITE, wire.NBD_CMD_DISC]);
});

test('the memory of a large write is held until the socket has taken it, also where the connection is cut', async () => {
  await using server = await ScriptedNbdServer.start(peer => peer.handshake(SIZE * 64));
  const nbd = await connection(server);
  const journal = new Journal(1);
  const slab = new BufferPool(8 * SIZE, 1).take();
  const write = request('write', journal, slab.bytes.length);
  write.buffer = slab.bytes;
  write.slab = slab;
  nbd.submit(write);
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(slab.references, 2);
  nbd.abort(new ColobusError('No longer wanted'));
  assert.deepEqual(journal.entries, [`write ${ECONNRESET}`]);
  await nbd.close();
  assert.equal(slab.references, 1);
});

const info = (flags: number): Buffer => encodeInfoReply({ kind: 'export', sizeBytes: SIZE, flags });
const blockSizes = (minimum: number, preferred: number, maximum: number): Buffer =>
  encodeInfoReply({ kind: 'block-size', minimum, preferred, maximum });
const hugeSize = Buffer.concat([Buffer.alloc(2), Buffer.from('0020000000000000', 'hex'), Buffer.from('0001', 'hex')]);

for (const [what, rule, answer] of [
  ['a reply to another option', /answered option 99/, peer => peer.reply(99, wire.NBD_REP_ACK)],
  ['a reply without magic', /magic/, peer => peer.write(Buffer.alloc(20))],
  [
    'an announcement of 4 GiB',
    /announced 4294967295/,
    (peer, option) => {
      const header = Buffer.from('0003e889045565a9000000000000000 3ffffffff'.replace(' ', ''), 'hex');
      header.writeUInt32BE(option, 8);
      peer.write(header);
    },
  ],
  ['an acceptance without a size', /without telling its size/, (peer, option) => peer.reply(option, wire.NBD_REP_ACK)],
  ['an acceptance with data', /carries data/, (peer, option) => peer.reply(option, wire.NBD_REP_ACK, Buffer.alloc(1))],
  ['a reply of another kind', /reply of type 2/, (peer, option) => peer.reply(option, wire.NBD_REP_SERVER)],
  [
    'a context nobody asked for',
    /unasked/,
    (peer, option) => {
      if (option === wire.NBD_OPT_SET_META_CONTEXT) {
        peer.reply(option, wire.NBD_REP_META_CONTEXT, Buffer.from('00000001666f6f3a626172', 'hex'));
      }
      peer.reply(option, wire.NBD_REP_ACK);
    },
  ],
  ['flags without HAS_FLAGS', /HAS_FLAGS/, (peer, option) => go(peer, option, info(wire.NBD_FLAG_SEND_FLUSH))],
  ['a size of 2^53', /larger than 2\^53/, (peer, option) => go(peer, option, hugeSize)],
  [
    'a minimum block of 3',
    /minimum block size/,
    (peer, option) => go(peer, option, info(1), blockSizes(3, 4096, 4096)),
  ],
  [
    'a preferred block below the minimum',
    /preferred/,
    (peer, option) => go(peer, option, info(1), blockSizes(512, 256, 4096)),
  ],
  ['a maximum block of 1000', /maximum/, (peer, option) => go(peer, option, info(1), blockSizes(512, 512, 1000))],
  ['an information of wrong length', /wrong length/, (peer, option) => go(peer, option, Buffer.alloc(5))],
] as const satisfies readonly (readonly [string, RegExp, (peer: ScriptedPeer, option: number) => void])[]) {
  test(`${what} in the handshake is a protocol error`, async () => {
    await using server = await ScriptedNbdServer.start(haggling(answer));
    await assert.rejects(connection(server), error => error instanceof ProtocolError && rule.test(error.message));
  });
}

/** Answers NBD_OPT_GO with `infos`, and has nothing else. */
function go(peer: ScriptedPeer, option: number, ...infos: readonly Buffer[]): void {
  if (option !== wire.NBD_OPT_GO) {
    peer.reply(option, wire.NBD_REP_ERR_UNSUP);
    return;
  }
  for (const data of infos) peer.reply(option, wire.NBD_REP_INFO, data);
  peer.reply(option, wire.NBD_REP_ACK);
}

for (const [what, type, text, told] of [
  ['an unknown export', wire.NBD_REP_ERR_UNKNOWN, '', /no export 'disk'/],
  ['a demand for TLS', wire.NBD_REP_ERR_TLS_REQD, '', /over TLS only/],
  [
    'a refusal by policy',
    wire.NBD_REP_ERR_POLICY,
    'not\x1b[31m you',
    /forbids export 'disk' \(it says: not \[31m you\)/,
  ],
] as const) {
  test(`${what} is an error in words, safe to print`, async () => {
    await using server = await ScriptedNbdServer.start(
      haggling((peer, option) => peer.reply(option, type, Buffer.from(text))),
    );
    await assert.rejects(connection(server, { exportName: 'disk' }), told);
  });
}

test('a listing of exports with a broken entry is a protocol error', async () => {
  await using server = await ScriptedNbdServer.start(
    haggling((peer, option) => peer.reply(option, wire.NBD_REP_SERVER, Buffer.from('ffffffff41', 'hex'))),
  );
  await assert.rejects(NbdClient.list({ address: { kind: 'unix', path: server.socket } }), ProtocolError);
});

/** Runs one request through the adapter and returns the commands the server saw: type, flags, offset, length. */
async function commandsFor(flags: number, make: (owner: RequestOwner) => BlockRequest): Promise<number[][]> {
  const commands: number[][] = [];
  await using server = await ScriptedNbdServer.start(async peer => {
    await peer.handshake(2 ** 40, flags | wire.NBD_FLAG_HAS_FLAGS);
    for (;;) {
      const { header } = await peer.command();
      if (header.type === wire.NBD_CMD_DISC) return peer.end();
      commands.push([header.type, header.flags, header.offset, header.length]);
      peer.answer(header);
    }
  });
  await using nbd = await connection(server);
  const journal = new Journal(1);
  new RequestAdapter(nbd).submit(make(journal));
  await journal.finished;
  assert.match(String(journal.entries), / 0$/);
  return commands;
}

const MIB = 1024 * 1024;
const FUA = wire.NBD_FLAG_SEND_FUA;
const FLUSH = wire.NBD_FLAG_SEND_FLUSH;
const ZEROES = wire.NBD_FLAG_SEND_WRITE_ZEROES;
const { NBD_CMD_WRITE, NBD_CMD_FLUSH, NBD_CMD_TRIM, NBD_CMD_WRITE_ZEROES } = wire;

for (const [what, flags, kind, length, fua, commands] of [
  ['a write of the largest size is one command', FUA, 'write', 32 * MIB, true, [[NBD_CMD_WRITE, 1, 0, 32 * MIB]]],
  [
    'a write with FUA without the server having it is followed by a flush',
    FLUSH,
    'write',
    512,
    true,
    [
      [NBD_CMD_WRITE, 0, 0, 512],
      [NBD_CMD_FLUSH, 0, 0, 0],
    ],
  ],
  [
    'a write with FUA stands alone where there is nothing to flush',
    0,
    'write',
    512,
    true,
    [[NBD_CMD_WRITE, 0, 0, 512]],
  ],
  ['a flush is left out where there is nothing to flush', 0, 'flush', 0, false, []],
  [
    'a discard of 1 GiB is one command',
    wire.NBD_FLAG_SEND_TRIM,
    'discard',
    1024 * MIB,
    false,
    [[NBD_CMD_TRIM, 0, 0, 1024 * MIB]],
  ],
  ['a discard is left out where the server has none', 0, 'discard', 512, false, []],
  ['a cache is left out where the server has none', 0, 'cache', 512, false, []],
  [
    'a write-zeroes beyond 1 GiB goes in pieces',
    ZEROES | FUA,
    'write-zeroes',
    1025 * MIB,
    true,
    [
      [NBD_CMD_WRITE_ZEROES, 3, 0, 1024 * MIB],
      [NBD_CMD_WRITE_ZEROES, 3, 1024 * MIB, MIB],
    ],
  ],
  [
    'a write-zeroes becomes writes where the server has none',
    FLUSH,
    'write-zeroes',
    33 * MIB,
    true,
    [
      [NBD_CMD_WRITE, 0, 0, 32 * MIB],
      [NBD_CMD_WRITE, 0, 32 * MIB, MIB],
      [NBD_CMD_FLUSH, 0, 0, 0],
    ],
  ],
] as const satisfies readonly (readonly [string, number, RequestKind, number, boolean, number[][]])[]) {
  test(what, async () => {
    const seen = await commandsFor(flags, owner => {
      const made = request(kind, owner, 0);
      made.length = length;
      if (kind === 'write') made.buffer = Buffer.alloc(length);
      made.fua = fua;
      return made;
    });
    assert.deepEqual(seen, commands);
  });
}
