/** The raw images under the demo's disks, written before the hosts start and read after they have ended. */

import { open, rm } from 'node:fs/promises';
import { BLOCK_BYTES, NEVER_WRITTEN, readStamp, writeStamp } from './block-stamp.ts';

const BLOCKS_PER_TRANSFER = 256;

/**
 * Creates images that are alike, `blocks` blocks long, every block stamped as never written. What was at `paths` is
 * replaced. `progress` is told the part that is done.
 */
export async function createStampedImages(
  paths: readonly string[],
  blocks: number,
  signal: AbortSignal,
  progress: (fraction: number) => void,
): Promise<void> {
  const transfer = Buffer.alloc(BLOCKS_PER_TRANSFER * BLOCK_BYTES);
  for (const path of paths) await rm(path, { force: true });
  const files = await Promise.all(paths.map(path => open(path, 'wx')));
  try {
    for (let block = 0; block < blocks; block += BLOCKS_PER_TRANSFER) {
      signal.throwIfAborted();
      const count = Math.min(BLOCKS_PER_TRANSFER, blocks - block);
      for (let i = 0; i < count; i++) writeStamp(transfer, i * BLOCK_BYTES, block + i, NEVER_WRITTEN);
      const bytes = transfer.subarray(0, count * BLOCK_BYTES);
      await Promise.all(files.map(file => file.write(bytes, 0, bytes.length, block * BLOCK_BYTES)));
      progress((block + count) / blocks);
    }
  } finally {
    await Promise.all(files.map(file => file.close()));
  }
}

/** The sequence number that each block of the image at `path` holds, DAMAGED where it holds none. */
export async function readSequences(path: string, blocks: number, signal: AbortSignal): Promise<Float64Array> {
  const sequences = new Float64Array(blocks);
  const transfer = Buffer.alloc(BLOCKS_PER_TRANSFER * BLOCK_BYTES);
  await using file = await open(path, 'r');
  for (let block = 0; block < blocks; block += BLOCKS_PER_TRANSFER) {
    signal.throwIfAborted();
    const count = Math.min(BLOCKS_PER_TRANSFER, blocks - block);
    // What an image that is too short lacks is no stamp.
    transfer.fill(0xff);
    await file.read(transfer, 0, count * BLOCK_BYTES, block * BLOCK_BYTES);
    for (let i = 0; i < count; i++) sequences[block + i] = readStamp(transfer, i * BLOCK_BYTES, block + i);
  }
  return sequences;
}

/** The sequence number that `block` of the image at `path` holds, or DAMAGED. */
export async function readSequence(path: string, block: number): Promise<number> {
  const bytes = Buffer.alloc(BLOCK_BYTES, 0xff);
  await using file = await open(path, 'r');
  await file.read(bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES);
  return readStamp(bytes, 0, block);
}
