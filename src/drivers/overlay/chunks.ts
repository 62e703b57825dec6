/** The chunks of an overlay: 4096 bytes each, the last of a disk may be short. */

import type { ByteRange } from '../../block/overlap-tracker.ts';

export const CHUNK_BYTES = 4096;

export function chunkAt(offset: number): number {
  return Math.floor(offset / CHUNK_BYTES);
}

/** The last chunk that `range`, which is not empty, touches. */
export function lastChunk(range: ByteRange): number {
  return chunkAt(range.offset + range.length - 1);
}
