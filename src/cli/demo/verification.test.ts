import assert from 'node:assert/strict';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { BLOCK_BYTES, writeStamp } from './block-stamp.ts';
import { createStampedImages, readSequences } from './stamped-image.ts';
import { type Verdict, verify } from './verification.ts';
import { WriteLog } from './write-log.ts';

const BLOCKS = 300;
const { signal } = new AbortController();
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'colobus-test-'));
});
after(async () => {
  await rm(folder, { recursive: true, force: true });
});

/**
 * Blocks 0 to 2 are written before the only checkpoint, block 1 twice; blocks 2 and 299 after it. A second write of
 * block 0 was in flight when the primary died.
 */
const WRITES_BEFORE_CUT = [0, 1, 2, 1];
const WRITES_AFTER_CUT = [2, 299];
const IN_FLIGHT: ReadonlyMap<number, number> = new Map([[0, 7]]);

function exampleLog(): WriteLog {
  const log = new WriteLog(BLOCKS);
  let sequence = 0;
  for (const block of WRITES_BEFORE_CUT) log.append(block, ++sequence);
  const cut = log.cut();
  for (const block of WRITES_AFTER_CUT) log.append(block, ++sequence);
  log.keep(cut);
  return log;
}

/** The verdict on an image whose blocks hold `content`, the others as never written, after `damage` was done to it. */
async function verdictOn(
  image: TakeOverImage,
  content: Readonly<Record<number, number>>,
  damage: (bytes: Buffer, block: number) => void = () => {},
): Promise<Verdict> {
  const path = join(folder, 'standby.img');
  await createStampedImages([path], BLOCKS, signal, () => {});
  const file = await open(path, 'r+');
  for (const [block, sequence] of Object.entries(content)) {
    const bytes = Buffer.alloc(BLOCK_BYTES);
    writeStamp(bytes, 0, Number(block), sequence);
    damage(bytes, Number(block));
    await file.write(bytes, 0, BLOCK_BYTES, Number(block) * BLOCK_BYTES);
  }
  await file.close();
  const found = await readSequences(path, BLOCKS, signal);
  return verify({ image, found, log: exampleLog(), inFlight: IN_FLIGHT });
}

const LATEST = { 0: 1, 1: 4, 2: 5, 299: 6 };
const CHECKPOINT = { 0: 1, 1: 4, 2: 3 };

test('image latest is good with every acknowledged write, and with one that was in flight', async () => {
  const good = { lost: 0, rolledBack: 0, wrongBlocks: 0 };
  assert.deepEqual(await verdictOn('latest', LATEST), good);
  assert.deepEqual(await verdictOn('latest', { ...LATEST, 0: 7 }), good);
});

test('image checkpoint is good as it was at the cut; what came later is rolled back', async () => {
  assert.deepEqual(await verdictOn('checkpoint', CHECKPOINT), { lost: 0, rolledBack: 2, wrongBlocks: 0 });
});

test('a write that is missing where it must be is lost', async () => {
  assert.deepEqual(await verdictOn('latest', CHECKPOINT), { lost: 2, rolledBack: 0, wrongBlocks: 2 });
  const withoutFirst = { ...CHECKPOINT, 1: 0 };
  assert.deepEqual(await verdictOn('checkpoint', withoutFirst), { lost: 2, rolledBack: 2, wrongBlocks: 1 });
});

test('a damaged block has lost all its writes', async () => {
  const damage = (bytes: Buffer, block: number): void => {
    if (block === 1) bytes.fill(0, 512, 1024);
  };
  assert.deepEqual(await verdictOn('latest', LATEST, damage), { lost: 2, rolledBack: 0, wrongBlocks: 1 });
});

test('a block never written must be as it was filled, in either image', async () => {
  assert.deepEqual(await verdictOn('latest', { ...LATEST, 200: 6 }), { lost: 0, rolledBack: 0, wrongBlocks: 1 });
});

test('a write that survives a take-over with the checkpoint before it is wrong, though nothing is lost', async () => {
  assert.deepEqual(await verdictOn('checkpoint', LATEST), { lost: 0, rolledBack: 2, wrongBlocks: 2 });
});
