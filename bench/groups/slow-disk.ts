/** Disks that take their time must not make others wait: a slow image beside a fast one, and more than memory can hold dirty. */

import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement } from '../benchmark-result.ts';
import { DIRTY_PROMISES, measureDirty } from './slow-disk-dirty.ts';
import { measureNeighbour, NEIGHBOUR_PROMISES } from './slow-disk-neighbour.ts';

export const slowDiskGroup: BenchmarkGroup = {
  name: 'slow-disk',
  summary: 'An image that answers in 50 ms beside a fast one; writes past the kernel’s dirty threshold',
  promises: [...NEIGHBOUR_PROMISES, ...DIRTY_PROMISES],
  run: async (options: BenchmarkOptions): Promise<Measurement[]> => [
    ...(await measureNeighbour(options)),
    ...(await measureDirty(options)),
  ],
};
