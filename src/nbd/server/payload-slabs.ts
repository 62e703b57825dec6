/** Memory for what goes through the server's sockets, shared by all connections of the process. */

import { BufferPool, type Slab } from '../../base/buffer-pool.ts';
import { allocateAligned } from '../../os/aligned-memory.ts';

/** About what one read from a socket yields, and a payload of 256 KiB with its header. */
export const SLAB_BYTES: number = 256 * 1024 + 4096;
/** Holds two of the usual large requests of 1 MiB with their headers. */
export const LARGE_SLAB_BYTES: number = 2 * 1024 * 1024 + 4096;

const slabs = new BufferPool(SLAB_BYTES, 128, allocateAligned);
const largeSlabs = new BufferPool(LARGE_SLAB_BYTES, 16, allocateAligned);

/** A slab of at least `bytes`, with one reference. */
export function takeSlab(bytes: number): Slab {
  if (bytes <= SLAB_BYTES) return slabs.take();
  if (bytes <= LARGE_SLAB_BYTES) return largeSlabs.take();
  return largeSlabs.takeOversized(bytes);
}
