/**
 * How long a checkpoint takes: with 128 MiB of originals against QEMU's secondary, and with 16 MiB against 1 GiB.
 *
 * The guest is quiet; checkpoints under load are the latency group's. After the drop of 1 GiB the secondary's event loop
 * is watched for a second, since what a drop leaves to do comes later.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import { type Measurement, median } from '../benchmark-result.ts';
import { measureCheckpoint, PRESERVE, PRESERVED_CHECKPOINT } from '../checkpoint-workload.ts';
import { type FioJob, fioLine, runFio } from '../fio.ts';
import {
  CHUNK_BYTES,
  colobusSubject,
  fillDisk,
  openColobusPair,
  startColobusPair,
  startQemuPair,
} from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import type { Samples } from '../samples.ts';

const MIB = 1024 * 1024;
const COLOBUS = 'colobus (unix)';
const QEMU = 'qemu-pair (unix)';
const PRESERVE_DISK_BYTES = 512 * MIB;

const SMALL_MIB = 16;
const LARGE_MIB = 1024;
const LARGE_DISK_BYTES = 1280 * MIB;
/** Above what is buffered, with the tables. */
const BUFFER_LIMIT_BYTES = 1536 * MIB;
/** Of each size a round; a single one says little where it takes a tenth of a millisecond. */
const SMALL_CHECKPOINTS = 9;
const LARGE_CHECKPOINTS = 3;
const AFTER_DROP_MS = 1000;

const durationName = (mib: number): string => `checkpoint with ${mib} MiB buffered`;
const GROWTH = `checkpoint with ${LARGE_MIB} MiB buffered, as a multiple of one with ${SMALL_MIB} MiB`;
const STALL = `event-loop stall p99.9, the second after a drop of ${LARGE_MIB} MiB`;

export const checkpointGroup: BenchmarkGroup = {
  name: 'checkpoint',
  summary: 'Prepare to done, against QEMU’s secondary, and by the size of the buffer',
  promises: [
    { subject: COLOBUS, workload: PRESERVED_CHECKPOINT, peer: QEMU, relation: 'at most', want: 1 / 50 },
    { subject: COLOBUS, workload: PRESERVED_CHECKPOINT, peer: null, relation: 'at most', want: 5 },
    { subject: COLOBUS, workload: GROWTH, peer: null, relation: 'at most', want: 2 },
    { subject: COLOBUS, workload: STALL, peer: null, relation: 'at most', want: 10 },
  ],
  run,
};

async function run(options: BenchmarkOptions): Promise<Measurement[]> {
  options.report(`${fioLine(PRESERVE)}   (before the checkpoint that is timed)`);
  return [...(await againstQemu(options)), ...(await bySize(options))];
}

async function againstQemu(options: BenchmarkOptions): Promise<Measurement[]> {
  const pairOptions = { sizeBytes: PRESERVE_DISK_BYTES, link: 'unix' } as const;
  await using qemu = await startQemuPair(QEMU, options, pairOptions);
  await using colobus = await startColobusPair(COLOBUS, options, pairOptions);
  return await inRounds(options, async samples => {
    for (const pair of [qemu, colobus]) await measureCheckpoint(pair, samples, options);
  });
}

async function bySize(options: BenchmarkOptions): Promise<Measurement[]> {
  await using pair = await openColobusPair('colobus 1 GiB buffered', options, {
    sizeBytes: LARGE_DISK_BYTES,
    buffer: { limit: BUFFER_LIMIT_BYTES },
  });
  const subject = colobusSubject(COLOBUS, pair);
  await fillDisk(subject, options, LARGE_DISK_BYTES);
  const { qmp } = pair.secondary;

  /** Median milliseconds of `count` checkpoints that drop `mib` each. */
  const durationMs = async (mib: number, count: number): Promise<number> => {
    const durations: number[] = [];
    for (let number = 0; number < count; number += 1) {
      await runFio(preserve(mib), subject.uri, options.workDirectory);
      await subject.verifyPreserved((mib * MIB) / CHUNK_BYTES);
      await fetchProcessStats(qmp, { reset: true });
      durations.push((await subject.checkpoint()).secondaryMs);
    }
    return median(durations);
  };
  const measureSizes = async (samples: Samples): Promise<void> => {
    const smallMs = await durationMs(SMALL_MIB, SMALL_CHECKPOINTS);
    const largeMs = await durationMs(LARGE_MIB, LARGE_CHECKPOINTS);
    await pause(AFTER_DROP_MS);
    const { eventLoopDelayUs } = await fetchProcessStats(qmp);
    samples.add(durationName(SMALL_MIB), COLOBUS, 'ms', smallMs);
    samples.add(durationName(LARGE_MIB), COLOBUS, 'ms', largeMs);
    samples.add(GROWTH, COLOBUS, '×', largeMs / smallMs);
    samples.add(STALL, COLOBUS, 'ms', eventLoopDelayUs.p999 / 1000);
  };
  return await inRounds(options, measureSizes);
}

function preserve(mib: number): FioJob {
  return { ...PRESERVE, size: mib * MIB };
}
