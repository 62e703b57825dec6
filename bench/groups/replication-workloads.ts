/** What fio does to a replicated disk. */

import type { Workload } from '../subject.ts';

const MIB = 1024 * 1024;

export const DISK_BYTES: number = 1024 * MIB;

export const FRESH_WRITE = '4 KiB random write, depth 32, fresh epoch';
export const PRESERVED_WRITE = '4 KiB random write, depth 32, chunks already preserved';
export const SINGLE_WRITE = '4 KiB random write, depth 1';
export const SEQUENTIAL_64K = '64 KiB sequential write, depth 16';
export const SEQUENTIAL_1M = '1 MiB sequential write, depth 8';
export const GRAPH_READ = '4 KiB random read, depth 32';

export type ReplicationWorkloads = {
  /** One pass over a quarter of the disk, each block at most once. */
  readonly fresh: Workload;
  /** The same blocks once more. */
  readonly preserved: Workload;
  readonly single: Workload;
  readonly sequential64k: Workload;
  readonly sequential1m: Workload;
  readonly reads: Workload;
};

export function replicationWorkloads(seconds: number): ReplicationWorkloads {
  const timed = { size: DISK_BYTES, runtime: seconds, time_based: 1 };
  const pass = { size: DISK_BYTES, io_size: DISK_BYTES / 4 };
  const half = { size: DISK_BYTES / 2 };
  // fio's random order is the same in every run (randrepeat), so that a second pass meets the blocks of the first.
  const random = { rw: 'randwrite', bs: '4k', iodepth: 32, norandommap: 0, ...pass };
  return {
    fresh: { name: FRESH_WRITE, unit: 'IOPS', job: { name: 'fresh-epoch', ...random } },
    preserved: { name: PRESERVED_WRITE, unit: 'IOPS', job: { name: 'preserved', ...random } },
    single: {
      name: SINGLE_WRITE,
      unit: 'IOPS',
      job: { name: 'single', rw: 'randwrite', bs: '4k', iodepth: 1, ...timed },
    },
    sequential64k: {
      name: SEQUENTIAL_64K,
      unit: 'MiB/s',
      job: { name: 'sequential-64k', rw: 'write', bs: '64k', iodepth: 16, ...half },
    },
    sequential1m: {
      name: SEQUENTIAL_1M,
      unit: 'MiB/s',
      job: { name: 'sequential-1m', rw: 'write', bs: '1m', iodepth: 8, ...half },
    },
    reads: { name: GRAPH_READ, unit: 'IOPS', job: { name: 'reads', rw: 'randread', bs: '4k', iodepth: 32, ...timed } },
  };
}
