/** Memory and disk size: what a daemon holds idle, under load and after thousands of checkpoints, and with a disk of 1 TiB. */

import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement } from '../benchmark-result.ts';
import { HUGE_PROMISES, measureHugeDisk } from './buffer-huge-disk.ts';
import { MEMORY_PROMISES, measureMemory } from './buffer-memory.ts';

export const bufferGroup: BenchmarkGroup = {
  name: 'buffer',
  summary: 'Memory idle, under load and after many checkpoints; disks of 1 GiB and 1 TiB',
  promises: [...MEMORY_PROMISES, ...HUGE_PROMISES],
  run: async (options: BenchmarkOptions): Promise<Measurement[]> => [
    ...(await measureMemory(options)),
    ...(await measureHugeDisk(options)),
  ],
};
