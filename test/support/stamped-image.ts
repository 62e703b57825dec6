/**
 * Stamped blocks: each block of an image says which write it came from, so that an image can be held against a history.
 *
 * A block of 4096 bytes holds `(block u64 LE, sequence u64 LE)` 256 times; zeroes mean that it was never written.
 */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { WriteRecord } from './write-load.ts';

export const BLOCK_BYTES = 4096;
const STAMP_BYTES = 16;

export function stamped(block: number, sequence: number): Buffer {
  const stamp = Buffer.alloc(STAMP_BYTES);
  stamp.writeBigUInt64LE(BigInt(block), 0);
  stamp.writeBigUInt64LE(BigInt(sequence), 8);
  return Buffer.alloc(BLOCK_BYTES, stamp);
}

/** The sequence number in each of the first `blocks` blocks, 0 where none was written. A torn block fails the test. */
export function sequencesIn(image: Buffer, blocks: number): readonly number[] {
  return Array.from({ length: blocks }, (_, block) => {
    const content = image.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES);
    const sequence = Number(content.readBigUInt64LE(8));
    const whole = sequence === 0 ? Buffer.alloc(BLOCK_BYTES) : stamped(block, sequence);
    assert.ok(content.equals(whole), `Block ${block} is not one write's: it begins with sequence ${sequence}`);
    return sequence;
  });
}

/** What an image must hold of a history; a bound that is left out does not bind. Times as in the records. */
export type Expectation = {
  /** Every write acknowledged by then is there, unless a later one to its block is. */
  readonly acknowledgedBy?: number;
  /** No write submitted after that is there. */
  readonly submittedBy?: number;
};

/** Fails unless the image at `path` holds what it must, and in each block a write of the history. */
export async function assertHolds(
  path: string,
  records: readonly WriteRecord[],
  blocks: number,
  expectation: Expectation = {},
): Promise<void> {
  assertImageHolds(await readFile(path), records, blocks, expectation);
}

/** The same for an image that has been read. */
export function assertImageHolds(
  image: Buffer,
  records: readonly WriteRecord[],
  blocks: number,
  expectation: Expectation = {},
): void {
  const { acknowledgedBy = Number.POSITIVE_INFINITY, submittedBy = Number.POSITIVE_INFINITY } = expectation;
  const lastAcknowledged = new Array<number>(blocks).fill(0);
  for (const { block, sequence, errno, completedMs } of records) {
    if (errno === 0 && completedMs !== null && completedMs <= acknowledgedBy) lastAcknowledged[block] = sequence;
  }
  for (const [block, sequence] of sequencesIn(image, blocks).entries()) {
    const wanted = lastAcknowledged[block] as number;
    assert.ok(sequence >= wanted, `Block ${block} holds write ${sequence}; write ${wanted} was acknowledged`);
    if (sequence === 0) continue;
    const record = records[sequence - 1];
    assert.equal(record?.block, block, `Block ${block} holds write ${sequence}, which was another's`);
    assert.ok(
      record.submittedMs <= submittedBy,
      `Block ${block} holds write ${sequence}, submitted ${record.submittedMs - submittedBy} ms too late`,
    );
  }
}

/** Bytes of those granules, 64 KiB each, in which two images differ. */
export async function differingBytes(pathA: string, pathB: string): Promise<number> {
  const granule = 65_536;
  const [a, b] = await Promise.all([readFile(pathA), readFile(pathB)]);
  assert.equal(a.length, b.length);
  let bytes = 0;
  for (let at = 0; at < a.length; at += granule) {
    const end = Math.min(at + granule, a.length);
    if (a.compare(b, at, end, at, end) !== 0) bytes += end - at;
  }
  return bytes;
}
