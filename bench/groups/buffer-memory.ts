/**
 * Resident memory of a pair: idle, under load, and by the number of checkpoints.
 *
 * Every round has daemons of its own, since memory that a process has used once it seldom gives back. Under load means
 * during one pass over half a disk of 1 GiB, whose originals the secondary buffers; the largest figure counts.
 */

import type { ColobusPair } from '../../test/support/colobus-pair.ts';
import type { Daemon } from '../../test/support/daemon.ts';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import type { BenchmarkOptions } from '../benchmark-group.ts';
import { type Measurement, median, type Promised } from '../benchmark-result.ts';
import { type FioJob, fioLine, runFio } from '../fio.ts';
import { CHUNK_BYTES, colobusSubject, fillDisk, openColobusPair } from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import { sampledMax } from '../sampled-max.ts';
import type { Samples } from '../samples.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 1024 * MIB;
const BUFFERED_BYTES = DISK_BYTES / 2;
const MAX_CHECKPOINTS = 10_000;
/** Of the checkpoints: the memory of the first tenth is that of warming up. */
const PARTS = 10;
/** What the garbage collector's rhythm leaves between two looks; a leak of 2 KiB a checkpoint would show. */
const GROWTH_MIB = 16;

export const SIDES = ['primary', 'secondary'] as const;
const subjectOf = (side: (typeof SIDES)[number]): string => `colobus ${side}`;

const IDLE = 'RSS idle';
const LOADED = 'RSS under load';
const BEYOND = 'RSS under load beyond idle and 1.1 × what is buffered';
const GROWTH = 'RSS growth over many checkpoints';
const COUNT = 'checkpoints of that';

export const MEMORY_PROMISES: readonly Promised[] = SIDES.flatMap(side => {
  const atMost = (workload: string, want: number): Promised => ({
    ...{ subject: subjectOf(side), workload, peer: null, relation: 'at most', want },
  });
  return [atMost(IDLE, 80), atMost(BEYOND, 64), atMost(GROWTH, GROWTH_MIB)];
});

const LOAD: FioJob = {
  name: 'buffered',
  rw: 'randwrite',
  bs: '4k',
  iodepth: 32,
  norandommap: 0,
  size: DISK_BYTES,
  io_size: BUFFERED_BYTES,
};

export async function measureMemory(options: BenchmarkOptions): Promise<Measurement[]> {
  options.report(fioLine(LOAD));
  return await inRounds(options, async samples => {
    await using pair = await openColobusPair('colobus memory', options, { sizeBytes: DISK_BYTES });
    const idle = await rssMib(pair);
    await measureLoad(pair, idle, samples, options);
    await measureGrowth(pair, samples, options);
  });
}

async function measureLoad(
  pair: ColobusPair,
  idle: readonly number[],
  samples: Samples,
  options: BenchmarkOptions,
): Promise<void> {
  const subject = colobusSubject('colobus', pair);
  await fillDisk(subject, options, DISK_BYTES);
  const { result, largest } = await sampledMax(
    () => rssMib(pair),
    () => runFio(LOAD, subject.uri, options.workDirectory),
  );
  await subject.verifyPreserved(result.requests);
  const bufferedMib = (result.requests * CHUNK_BYTES) / MIB;
  for (const [index, side] of SIDES.entries()) {
    const [idleMib, loadedMib] = [idle[index] as number, largest[index] as number];
    const allowedMib = idleMib + (side === 'secondary' ? 1.1 * bufferedMib : 0);
    samples.add(IDLE, subjectOf(side), 'MiB', idleMib);
    samples.add(LOADED, subjectOf(side), 'MiB', loadedMib);
    samples.add(BEYOND, subjectOf(side), 'MiB', Math.max(0, loadedMib - allowedMib));
  }
}

/** Checkpoints with a little written between, until there were enough of them or the time is over. */
async function measureGrowth(pair: ColobusPair, samples: Samples, options: BenchmarkOptions): Promise<void> {
  const job = { name: 'drip', rw: 'randwrite', bs: '4k', iodepth: 4, rate_iops: 2000, size: DISK_BYTES };
  const timed = { runtime: options.seconds, time_based: 1 };
  let isLoaded = true;
  const load = runFio({ ...job, ...timed }, pair.disks[0].rootUri, options.workDirectory).finally(() => {
    isLoaded = false;
  });
  const seen: number[][] = [];
  let checkpoints = 0;
  for (; isLoaded && checkpoints < MAX_CHECKPOINTS; checkpoints += 1) {
    await pair.checkpoint();
    if (checkpoints % PARTS === 0) seen.push(await rssMib(pair));
  }
  await load;
  const tenth = Math.max(1, Math.floor(seen.length / PARTS));
  for (const [index, side] of SIDES.entries()) {
    const rss = seen.map(both => both[index] as number);
    const growthMib = median(rss.slice(-tenth)) - median(rss.slice(tenth, 2 * tenth + 1));
    samples.add(GROWTH, subjectOf(side), 'MiB', Math.max(0, growthMib));
    samples.add(COUNT, subjectOf(side), 'checkpoints', checkpoints);
  }
}

/** Of both daemons, in the order of SIDES. */
export async function rssMib(pair: Readonly<Record<(typeof SIDES)[number], Daemon>>): Promise<number[]> {
  const reports = await Promise.all(SIDES.map(side => fetchProcessStats(pair[side].qmp)));
  return reports.map(({ rssBytes }) => rssBytes / MIB);
}
