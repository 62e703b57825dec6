/** Memory for what the children say in a read, until it has been compared. */

import { BufferPool, type Slab } from '../../base/buffer-pool.ts';
import { allocateAligned } from '../../os/aligned-memory.ts';

const SMALL_BYTES = 64 * 1024;
const LARGE_BYTES = 2 * 1024 * 1024;

const small = new BufferPool(SMALL_BYTES, 128, allocateAligned);
const large = new BufferPool(LARGE_BYTES, 16, allocateAligned);

/** A slab of at least `bytes`, with one reference. */
export function takeVersionSlab(bytes: number): Slab {
  if (bytes <= SMALL_BYTES) return small.take();
  return bytes <= LARGE_BYTES ? large.take() : large.takeOversized(bytes);
}
