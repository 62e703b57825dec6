/**
 * A slow disk: an image whose every access takes 50 ms, exported by a daemon that serves others as well.
 *
 * While it is busy the others keep their rate, whether they are in memory or need the thread pool themselves, and the
 * monitor stays prompt.
 */

import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from '../support/daemon.ts';
import { MonitorProbe } from '../support/monitor-probe.ts';
import { fetchProcessStats } from '../support/process-stats.ts';
import { SlowMount } from '../support/slow-mount.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;
const SIZE = 256 * MIB;
const BLOCK = 4096;
const DELAY_MS = 50;
const SLOW_DEPTH = 32;
const DEPTH = 16;
/** The event loop is later than this in one of a hundred turns at most. */
const MAX_LATE_US = 20_000;
const WINDOW_MS = 200;
const WINDOWS = 6;

let folder: TemporaryFolder;
let slow: SlowMount;
let daemon: Daemon;

before(async () => {
  folder = await TemporaryFolder.create('memory');
  for (const name of ['fast.img', 'pooled.img', 'slow.img']) {
    await writeFile(folder.file(name), '');
    await truncate(folder.file(name), SIZE);
  }
  slow = await SlowMount.start({
    directory: folder.file('slow'),
    image: folder.file('slow.img'),
    delayMs: DELAY_MS,
  });
  const images = { slow: slow.path, fast: folder.file('fast.img'), pooled: folder.file('pooled.img') };
  const nodes = Object.entries(images).flatMap(([name, path]) => [
    ...['--blockdev', `driver=file,node-name=${name},filename=${path},aio=${name === 'pooled' ? 'threads' : 'auto'}`],
    ...['--export', `nbd,id=${name},node-name=${name},name=${name},writable=on`],
  ]);
  const server = ['--nbd-server', `addr.type=unix,addr.path=${folder.file('nbd.sock')}`];
  daemon = await Daemon.start({ directory: folder.path, name: 'daemon', args: [...server, ...nodes] });
});

after(async () => {
  await daemon[Symbol.asyncDispose]();
  await slow[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

function connect(name: string): Promise<NbdClient> {
  return NbdClient.connect(`nbd+unix:///${name}?socket=${folder.file('nbd.sock')}`, { requestTimeoutMs: 30_000 });
}

/** Keeps `depth` requests in flight until `isOver`, each at another place; counts those that were answered. */
class Load {
  completed = 0;
  readonly #ended: Promise<unknown>;
  #isOver = false;

  constructor(client: NbdClient, depth: number, kind: 'read' | 'write') {
    let next = 0;
    const work = async (): Promise<void> => {
      const block = Buffer.alloc(BLOCK, 1);
      while (!this.#isOver) {
        // A stride over the whole disk, so that no read-ahead helps.
        const offset = (next++ * 97 * BLOCK) % SIZE;
        if (kind === 'read') await client.read(offset, BLOCK);
        else await client.write(offset, block);
        this.completed += 1;
      }
    };
    this.#ended = Promise.all(Array.from({ length: depth }, work));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }
}

/**
 * Requests a second that `client` gets done, alone and beside the slow disk's load: the best of several windows in turn,
 * since whatever else runs on this machine only takes away.
 */
async function rates(client: NbdClient, kind: 'read' | 'write'): Promise<{ alone: number; beside: number }> {
  await using slowClient = await connect('slow');
  const alone: number[] = [];
  const beside: number[] = [];
  const load = new Load(client, DEPTH, kind);
  await window(load);
  for (let i = 0; i < WINDOWS; i++) {
    alone.push(await window(load));
    const slowLoad = new Load(slowClient, SLOW_DEPTH, i % 2 === 0 ? 'read' : 'write');
    beside.push(await window(load));
    await slowLoad.stop();
    assert.ok(slowLoad.completed > 0, 'The slow disk had a load');
  }
  await load.stop();
  return { alone: Math.max(...alone), beside: Math.max(...beside) };
}

/** What `load` gets done in a window of time. */
async function window(load: Load): Promise<number> {
  const before = load.completed;
  const startMs = performance.now();
  await new Promise(resolve => setTimeout(resolve, WINDOW_MS));
  return ((load.completed - before) / (performance.now() - startMs)) * 1000;
}

for (const [name, what] of [
  ['fast', 'an image in memory'],
  ['pooled', 'an image that needs the thread pool itself'],
] as const) {
  test(`${what} keeps four fifths of its rate beside a busy slow disk, and the monitor is prompt`, async t => {
    await using client = await connect(name);
    await using monitor = await MonitorProbe.start(daemon.monitorPath);
    await fetchProcessStats(daemon.qmp, { reset: true });
    const { alone, beside } = await rates(client, 'write');
    const { p99 } = (await fetchProcessStats(daemon.qmp)).eventLoopDelayUs;
    t.diagnostic(
      `${Math.round(alone)} requests a second alone, ${Math.round(beside)} beside the slow disk, ` +
        `event loop late by ${p99} us (99 %)`,
    );
    assert.ok(beside >= 0.8 * alone, `${Math.round(beside)} of ${Math.round(alone)} requests a second are left`);
    assert.ok(p99 <= MAX_LATE_US, `The event loop was late by ${p99} us (99 %)`);
    await monitor.assertPrompt();
  });
}
