/**
 * A sparse disk of 1 TiB beside one of 1 GiB: the time to open it, what its tables hold, a discard of all of it, and
 * whether requests get slower. Both are written at the same number of places, once before and once while it counts, so
 * that the file system's own allocation is not measured.
 */

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { NbdClient } from '../../src/nbd/client/index.ts';
import type { ColobusPair } from '../../test/support/colobus-pair.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import type { BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Promised } from '../benchmark-result.ts';
import { runFio } from '../fio.ts';
import { availableImage, colobusSubject, openColobusPair } from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import type { Samples } from '../samples.ts';
import { measure, type Workload } from '../subject.ts';
import { rssMib, SIDES } from './buffer-memory.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const WRITTEN_BYTES = 256 * MIB;

const HUGE = 'colobus, disk of 1 TiB';
const USUAL = 'colobus, disk of 1 GiB';
const OPEN = 'opening file and colo-buffer nodes';
const OPEN_RSS = 'RSS that opening file and colo-buffer nodes adds';
const PAIR_RSS = SIDES.map(side => `RSS idle, ${side}`);
const DISCARD_TIME = 'discard of the whole disk through the pair';
const DISCARD_MEMORY = 'buffer memory that a discard of the whole disk takes';
const DISCARD_RSS = 'RSS that a discard of the whole disk adds, secondary';
const WRITE = '4 KiB random write, depth 32, fresh epoch';
const READ = '4 KiB random read, depth 32';

export const HUGE_PROMISES: readonly Promised[] = [
  { subject: HUGE, workload: OPEN, peer: null, relation: 'at most', want: 1000 },
  { subject: HUGE, workload: OPEN_RSS, peer: null, relation: 'at most', want: 64 },
  { subject: HUGE, workload: DISCARD_MEMORY, peer: null, relation: 'at most', want: 1 },
  { subject: HUGE, workload: WRITE, peer: USUAL, relation: 'at least', want: 1 },
  { subject: HUGE, workload: READ, peer: USUAL, relation: 'at least', want: 1 },
];

export async function measureHugeDisk(options: BenchmarkOptions): Promise<Measurement[]> {
  await using usual = await openColobusPair('colobus 1 GiB', options, { sizeBytes: GIB });
  await using huge = await openColobusPair('colobus 1 TiB', options, { sizeBytes: TIB });
  const pairs = [
    { name: USUAL, pair: usual, sizeBytes: GIB },
    { name: HUGE, pair: huge, sizeBytes: TIB },
  ];
  for (const { pair, sizeBytes } of pairs) {
    await runFio(workloads(sizeBytes, options.seconds).write.job, pair.disks[0].rootUri, options.workDirectory);
  }
  return await inRounds(options, async samples => {
    for (const { name, sizeBytes } of pairs) await measureOpening(name, sizeBytes, samples, options);
    await measureDiscard(samples, options);
    for (const { name, pair, sizeBytes } of pairs) {
      const { write, read } = workloads(sizeBytes, options.seconds);
      const subject = colobusSubject(name, pair);
      await subject.checkpoint();
      const { requests } = await measure(write, subject, samples, options);
      await subject.verifyPreserved(requests);
      await measure(read, subject, samples, options);
    }
  });
}

function workloads(sizeBytes: number, seconds: number): { readonly write: Workload; readonly read: Workload } {
  const common = { bs: '4k', iodepth: 32, size: sizeBytes };
  const pass = { norandommap: 0, io_size: WRITTEN_BYTES };
  const timed = { norandommap: 1, runtime: seconds, time_based: 1 };
  return {
    write: { name: WRITE, unit: 'IOPS', job: { name: 'write', rw: 'randwrite', ...common, ...pass } },
    read: { name: READ, unit: 'IOPS', job: { name: 'read', rw: 'randread', ...common, ...timed } },
  };
}

async function measureOpening(
  name: string,
  sizeBytes: number,
  samples: Samples,
  { diskDirectory, workDirectory }: BenchmarkOptions,
): Promise<void> {
  const filename = join(diskDirectory, 'sparse.img');
  await using file = await open(filename, 'w');
  await file.truncate(sizeBytes);
  await using daemon = await Daemon.start({ directory: workDirectory, name: 'opening', args: [] });
  const before = await fetchProcessStats(daemon.qmp);
  const startMs = performance.now();
  await daemon.qmp.execute('blockdev-add', { driver: 'file', 'node-name': 'disk', filename });
  await daemon.qmp.execute('blockdev-add', { driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' });
  samples.add(OPEN, name, 'ms', performance.now() - startMs);
  const after = await fetchProcessStats(daemon.qmp);
  samples.add(OPEN_RSS, name, 'MiB', (after.rssBytes - before.rssBytes) / MIB);
}

/** On daemons of their own with a disk that has holes only, so that nothing has to be kept. */
async function measureDiscard(samples: Samples, options: BenchmarkOptions): Promise<void> {
  await using pair = await openColobusPair('colobus discard', options, { sizeBytes: TIB });
  const idle = await rssMib(pair);
  for (const [index, workload] of PAIR_RSS.entries()) samples.add(workload, HUGE, 'MiB', idle[index] as number);
  await using guest = await NbdClient.connect(pair.disks[0].rootUri);
  const before = await bufferMemoryBytes(pair);
  const startMs = performance.now();
  for (let offset = 0; offset < TIB; offset += GIB) await guest.trim(offset, GIB);
  samples.add(DISCARD_TIME, HUGE, 'ms', performance.now() - startMs);
  samples.add(DISCARD_MEMORY, HUGE, 'MiB', ((await bufferMemoryBytes(pair)) - before) / MIB);
  const [, secondaryMib] = await rssMib(pair);
  samples.add(DISCARD_RSS, HUGE, 'MiB', (secondaryMib as number) - (idle[1] as number));
}

async function bufferMemoryBytes(pair: ColobusPair): Promise<number> {
  return (await availableImage(pair))?.buffer?.['memory-bytes'] ?? Number.NaN;
}
