/** `colobus demo`, held against what its journal and the raw images alone say. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { buildRoot } from '../support/project.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const END_MS = 100_000;
const BLOCK_BYTES = 4096;
const FIGURES = [
  'ok',
  'acknowledged',
  'lost',
  'rolledBack',
  'checkpoints',
  'pauseMs',
  'bytesPreserved',
  'killToWriteMs',
] as const;

type Figures = {
  readonly ok: boolean;
  readonly acknowledged: number;
  readonly lost: number;
  readonly rolledBack: number;
  readonly checkpoints: number;
  readonly pauseMs: { readonly p50: number; readonly p99: number };
  readonly bytesPreserved: number;
  readonly killToWriteMs: number;
};
type Round = Figures & { readonly image: 'latest' | 'checkpoint'; readonly standbyImage: string };
type Report = Figures & { readonly rounds: readonly Round[]; readonly dir: string | null };

type JournalLine = {
  readonly round: number;
  readonly block: number;
  readonly sequence: number;
  readonly checkpoint: number;
};

test('whoever knows only the journal and the raw images comes to the verdict of the demo', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const kept = folder.file('kept');
  const demo = await Demo.start(folder, ['--json', '--size', '32M', '--seconds', '2', '--keep', kept]);
  const exitCode = await demo.end();
  assert.equal(exitCode, 0, demo.stderr);
  const report = JSON.parse(demo.stdout.trimEnd().split('\n').at(-1) ?? '') as Report;
  assert.deepEqual(Object.keys(report), [...FIGURES, 'rounds', 'dir']);
  assert.equal(report.dir, kept);
  assert.deepEqual(
    report.rounds.map(round => round.image),
    ['latest', 'checkpoint'],
  );
  const lines = (await readFile(join(kept, 'journal.jsonl'), 'utf8')).trimEnd().split('\n');
  const journal = lines.map(line => JSON.parse(line) as JournalLine);
  for (const [index, round] of report.rounds.entries()) {
    checkFigures(round);
    const writes = journal.filter(line => line.round === index + 1);
    const content = sequencesOf(await readFile(round.standbyImage));
    assert.equal(content.length, (32 * 1024 * 1024) / BLOCK_BYTES);
    checkRound(round, writes, content);
  }
  for (const key of ['acknowledged', 'lost', 'rolledBack', 'checkpoints', 'bytesPreserved'] as const) {
    assert.equal(
      report[key],
      report.rounds.reduce((sum, round) => sum + round[key], 0),
      key,
    );
  }
  assert.deepEqual(await readdir(folder.path), ['kept']);
});

test('an interrupted demo leaves no process and no file', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const demo = await Demo.start(folder, ['--size', '1M', '--seconds', '60']);
  const pids = await demo.hosts();
  demo.interrupt();
  assert.equal(await demo.end(), 0, demo.stderr);
  assert.match(demo.stderr, /interrupted/);
  assert.equal(demo.stdout, '');
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  assert.deepEqual(await readdir(folder.path), []);
});

test('a primary that dies by another hand fails the demo in one line, with nothing left behind', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const demo = await Demo.start(folder, ['--json', '--size', '1M', '--seconds', '60']);
  const [alpha] = await demo.hosts();
  process.kill(alpha, 'SIGKILL');
  assert.equal(await demo.end(), 1);
  assert.match(demo.stderr.trimEnd().split('\n').at(-1) ?? '', /^colobus: Host alpha [^,]+, colobus demo, /);
  assert.equal(demo.stdout, '');
  assert.deepEqual(await readdir(folder.path), []);
});

test('a size or a duration that cannot be is refused in one line, before anything is made', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const kept = folder.file('kept');
  for (const args of [
    ['--size', '5000'],
    ['--size', '4K'],
    ['--size', 'much'],
    ['--seconds', '0'],
    ['--seconds', 'x'],
  ]) {
    const demo = await Demo.start(folder, [...args, '--keep', kept]);
    assert.equal(await demo.end(), 2, args.join(' '));
    assert.match(demo.stderr, /^colobus: --(size|seconds) '[^\n]+, colobus demo, [^\n]+\n$/);
    assert.equal(demo.stdout, '');
  }
  assert.deepEqual(await readdir(folder.path), []);
});

test('a file in the place of the folder to keep is refused and stays as it is', async () => {
  await using folder = await TemporaryFolder.create('memory');
  await writeFile(folder.file('taken'), 'precious');
  const demo = await Demo.start(folder, ['--keep', folder.file('taken')]);
  assert.equal(await demo.end(), 2);
  assert.match(demo.stderr, /^colobus: Folder '[^\n]+ colobus demo, name another with --keep\n$/);
  assert.equal(await readFile(folder.file('taken'), 'utf8'), 'precious');
  assert.deepEqual(await readdir(folder.path), ['taken']);
});

function checkFigures(round: Round): void {
  assert.deepEqual(Object.keys(round), ['image', ...FIGURES, 'standbyImage']);
  assert.equal(round.ok, true);
  assert.ok(round.checkpoints >= 1);
  assert.ok(round.pauseMs.p50 > 0 && round.pauseMs.p50 <= round.pauseMs.p99);
  assert.ok(round.killToWriteMs > 0);
}

/** From the text of the contract: lost, rolledBack and the rule for each block of either image. */
function checkRound(round: Round, writes: readonly JournalLine[], content: readonly number[]): void {
  assert.equal(writes.length, round.acknowledged);
  assert.equal(Math.max(...writes.map(line => line.checkpoint)), round.checkpoints, 'number of the last checkpoint');
  const inLastCheckpoint = (line: JournalLine): boolean => line.checkpoint < round.checkpoints;
  const promised = round.image === 'latest' ? writes : writes.filter(inLastCheckpoint);
  const missing = promised.filter(line => (content[line.block] as number) < line.sequence);
  assert.equal(missing.length, round.lost);
  assert.equal(round.lost, 0);
  assert.equal(writes.length - promised.length, round.rolledBack);

  const expected = new Array<number>(content.length).fill(0);
  for (const { block, sequence } of promised) expected[block] = Math.max(expected[block] as number, sequence);
  const different = content.flatMap((sequence, block) => (sequence === expected[block] ? [] : [block]));
  if (round.image === 'checkpoint') {
    assert.deepEqual(different, []);
    assert.ok(round.rolledBack > 0, 'writes were acknowledged after the last checkpoint');
  } else {
    // Only a write in flight at the kill may be there without a line; those have numbers of their own.
    assert.ok(different.length <= 32, `${different.length} blocks have a write that nobody acknowledged`);
    const acknowledged = new Set(writes.map(line => line.sequence));
    for (const block of different) assert.ok(!acknowledged.has(content[block] as number), `block ${block}`);
  }
  assert.equal(round.bytesPreserved, BLOCK_BYTES * distinctBlocksByCheckpoint(writes.filter(inLastCheckpoint)));
}

/** How many blocks were written between two checkpoints, summed: each has one original in its epoch. */
function distinctBlocksByCheckpoint(writes: readonly JournalLine[]): number {
  return new Set(writes.map(({ checkpoint, block }) => `${checkpoint} ${block}`)).size;
}

/** The sequence number in each block; fails where a block is not the same stamp of its own number 256 times. */
function sequencesOf(image: Buffer): readonly number[] {
  return Array.from({ length: image.length / BLOCK_BYTES }, (_, block) => {
    const content = image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    assert.equal(content.readBigUInt64LE(0), BigInt(block));
    assert.ok(content.equals(Buffer.alloc(BLOCK_BYTES, content.subarray(0, 16))), `block ${block} is of two writes`);
    return Number(content.readBigUInt64LE(8));
  });
}

/** A demo that puts its temporary files into a folder of the test. */
class Demo {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = once(child, 'close');
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  static async start(folder: TemporaryFolder, args: readonly string[]): Promise<Demo> {
    const child = spawn(process.execPath, [join(buildRoot, 'test/support/colobus-entry.js'), 'demo', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: folder.path },
    });
    await once(child, 'spawn');
    return new Demo(child);
  }

  /** The process ids of alpha and beta, once both run. */
  async hosts(): Promise<readonly [alpha: number, beta: number]> {
    const lines = createInterface({ input: this.#child.stderr as NodeJS.ReadableStream });
    for await (const line of lines) {
      const [, alpha, beta] = /alpha.* process (\d+);.* process (\d+)/.exec(line) ?? [];
      if (alpha !== undefined && beta !== undefined) return [Number(alpha), Number(beta)];
    }
    throw new Error(`The demo told of no hosts: ${this.stderr}`);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async end(): Promise<number | null> {
    try {
      const [exitCode] = await withDeadline(this.#closed, END_MS, systemClock, 'The demo did not end');
      return exitCode as number | null;
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    }
  }
}
