/** What clients of a monitor may do to it, without making it grow and without keeping others waiting. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { MAX_UNREAD_BYTES } from '../../src/monitor/monitor-session.ts';
import { MAX_DEPTH, MAX_TOKENS } from '../../src/monitor/protocol/json-reader.ts';
import { Daemon } from '../support/daemon.ts';
import { fetchProcessStats } from '../support/process-stats.ts';
import { type Message, RawMonitor } from '../support/raw-monitor.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
/** The daemon never takes more than this beyond what it had at first. */
const MAX_GROWTH_BYTES = 96 * MIB;
/** Contracts: Control-plane promptness. */
const PROMPT_US = 100_000;
/** For one in a hundred: what the scheduler of a busy machine may add. */
const TOLERATED_US = 1_000_000;
/** MonitorServer's. */
const MAX_CLIENTS = 64;

type Refusal = { readonly desc: string };

describe('a monitor whose clients are hostile', () => {
  let folder: TemporaryFolder;
  let daemon: Daemon;
  let rssAtFirst = 0;

  before(async () => {
    folder = await TemporaryFolder.create('memory');
    daemon = await Daemon.start({ directory: folder.path, name: 'colobus', args: [] });
    rssAtFirst = await rssBytes(daemon.pid);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await fetchProcessStats(daemon.qmp, { reset: true });
  });
  afterEach(async () => {
    // As the daemon sees it: this process is busy with being hostile.
    const { eventLoopDelayUs } = await fetchProcessStats(daemon.qmp);
    const { p50, p99 } = eventLoopDelayUs;
    assert.ok(p50 < PROMPT_US && p99 < TOLERATED_US, `others waited for ${p50} us, and one in a hundred for ${p99} us`);
    const growth = (await rssBytes(daemon.pid)) - rssAtFirst;
    assert.ok(growth < MAX_GROWTH_BYTES, `the daemon grew by ${growth} bytes`);
  });

  const floods: readonly (readonly [what: string, start: string, filling: string, mib: number, errors: number])[] = [
    ['letters', '', 'a', 100, 1],
    ['digits', '', '1', 8, 1],
    ['a string', '"', 'x', 8, 1],
    ['brackets', '', '[', 8, 1],
    ['objects in objects', '', '{"a":', 8, 1],
    ['elements of an array', '[', '1,', 8, 1],
    ['members of an object', '{', '"a":1,', 8, 1],
    ['white space', '', ' ', 8, 0],
  ];
  for (const [what, start, filling, mib, errors] of floods) {
    it(`takes ${mib} MiB of ${what} without a newline with ${errors} errors`, async () => {
      await using monitor = await negotiated(daemon);
      monitor.send(start);
      const chunk = Buffer.alloc(MIB, filling);
      for (let sent = 0; sent < mib; sent += 1) {
        if (!monitor.socket.write(chunk)) await once(monitor.socket, 'drain');
      }
      await monitor.answers('');
      const answers = monitor.messages.flatMap(({ error }) => (error as Refusal | undefined)?.desc ?? []);
      assert.equal(answers.length, errors);
      for (const desc of answers) assert.match(desc, /^JSON (token size|token count|nesting depth) limit exceeded$/);
    });
  }

  it('takes a value that is as deep and as long as it may be, and not one that is deeper or longer', async () => {
    await using monitor = await negotiated(daemon);
    const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const long = (elements: number): string => `[${'1,'.repeat(elements - 1)}1]`;
    const descriptions: unknown[] = [];
    for (const value of [
      nested(MAX_DEPTH),
      nested(MAX_DEPTH + 1),
      long(MAX_TOKENS / 2 - 1),
      long(MAX_TOKENS / 2 + 1),
    ]) {
      const [answer] = await monitor.answers(value);
      descriptions.push((answer?.error as Refusal | undefined)?.desc);
    }
    assert.deepEqual(descriptions, [
      'QMP input must be a JSON object',
      'JSON nesting depth limit exceeded',
      'QMP input must be a JSON object',
      'JSON token count limit exceeded',
    ]);
  });

  it('answers 512 KiB of random bytes a few at a time: 80 questions of another client come in between', async t => {
    const seed = Date.now() % 2 ** 32;
    t.diagnostic(`seed ${seed}`);
    await using monitor = await negotiated(daemon);
    const isDone = (): boolean => monitor.messages.at(-1)?.id === 'last';
    monitor.send(new SeededRandom(seed).bytes(MIB / 2));
    monitor.send(Buffer.from('\xff\n{"execute":"query-jobs","id":"last"}', 'latin1'));
    for (let asked = 0; asked < 80; asked += 1) await daemon.qmp.execute('query-replication');
    assert.ok(!isDone(), 'the other client waited until the flood was over');
    await monitor.until(isDone);
    assert.ok(monitor.messages.every(message => 'QMP' in message || 'error' in message || 'return' in message));
  });

  it('answers 10,000 commands to a client that reads only afterwards', async () => {
    const count = 10_000;
    await using greedy = await negotiated(daemon);
    greedy.socket.pause();
    for (let id = 0; id < count; id += 1) greedy.send(`{"execute":"query-commands","id":${id}}`);
    await daemon.qmp.execute('query-version');
    greedy.socket.resume();
    await greedy.until(() => greedy.messages.at(-1)?.id === count - 1);
    const ids = greedy.messages.filter(({ id }) => typeof id === 'number').map(({ id }) => id);
    assert.deepEqual(
      ids,
      Array.from({ length: count }, (_, id) => id),
    );
  });

  it('disconnects a client that lets answers pile up which wait for nobody, and no other', async () => {
    await using lazy = await RawMonitor.connect(daemon.monitorPath);
    await lazy.answers('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}');
    lazy.socket.pause();
    // Refusals of out-of-band commands do not wait for their reader, so that they pile up like events.
    const line = `{"exec-oob":"${'x'.repeat(1024)}"}`;
    const closed = lazy.closed();
    const lines = Math.ceil((2 * MAX_UNREAD_BYTES) / line.length);
    for (let sent = 0; sent < lines && !lazy.socket.destroyed; sent += 1) lazy.send(line);
    await closed;
    assert.deepEqual(await daemon.qmp.execute('query-jobs'), []);
  });

  it('turns away more clients than it has room for, and takes others when some have gone', async () => {
    const clients: RawMonitor[] = [];
    try {
      // The daemon's own client is there already.
      while (clients.length < MAX_CLIENTS - 1) clients.push(await negotiated(daemon));
      await assert.rejects(RawMonitor.connect(daemon.monitorPath), /closed the connection/);
      const last = clients.pop();
      await last?.[Symbol.asyncDispose]();
      await daemon.qmp.execute('query-version');
      clients.push(await negotiated(daemon));
    } finally {
      for (const client of clients) await client[Symbol.asyncDispose]();
    }
  });

  it('answers what a client asked before it closed its side, then closes the other', async () => {
    await using monitor = await RawMonitor.connect(daemon.monitorPath);
    const asked = '{"execute":"qmp_capabilities"}{"execute":"query-jobs","id":1}{"execute":"query-jobs","id":2}';
    monitor.socket.end(`${asked}{"execute":`);
    await monitor.closed();
    assert.deepEqual(
      monitor.messages.slice(1).map(({ id }) => id),
      [undefined, 1, 2],
    );
  });

  it('forgets clients that go without a word, in the middle of one, or while they are answered', async () => {
    for (let round = 0; round < 50; round += 1) {
      const socket = connect(daemon.monitorPath);
      socket.on('error', () => {});
      await once(socket, 'connect');
      if (round % 3 === 1) socket.write('{"execute":"qmp_capabilities"}{"exec');
      if (round % 3 === 2) socket.write(`{"execute":"qmp_capabilities"}${'{"execute":"query-qmp-schema"}'.repeat(20)}`);
      socket.destroy();
    }
    await using monitor = await negotiated(daemon);
    const [answer] = (await monitor.answers('{"execute":"query-jobs"}')) as [Message];
    assert.deepEqual(answer, { return: [] });
  });

  it('answers a client that sends a byte at a time', async () => {
    await using monitor = await RawMonitor.connect(daemon.monitorPath);
    monitor.socket.setNoDelay(true);
    for (const byte of '{"execute":"qmp_capabilities"}{"execute":"query-jobs","id":"\\u00e9"}') {
      monitor.send(byte);
      await new Promise(resolve => setImmediate(resolve));
    }
    await monitor.until(() => monitor.messages.at(-1)?.id === 'é');
  });
});

async function negotiated(daemon: Daemon): Promise<RawMonitor> {
  const monitor = await RawMonitor.connect(daemon.monitorPath);
  await monitor.answers('{"execute":"qmp_capabilities"}');
  return monitor;
}

async function rssBytes(pid: number): Promise<number> {
  const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(resident) * 4096;
}
