/**
 * Replication, primary to secondary with copy-on-write: two Colobus daemons against QEMU's COLO pair.
 *
 * A first round warms both up and does not count. Each round starts with a checkpoint, so that the epoch is fresh: the
 * buffers are empty. fio then writes each block at most once, in random order, over a quarter of the disk. A Colobus
 * row counts only if the `checkpoint` image is still available afterwards and the buffer holds exactly the chunks that
 * were written.
 */

import { join } from 'node:path';
import { ColobusError } from '../../src/base/errors.ts';
import { ColobusPair } from '../../test/support/colobus-pair.ts';
import { QemuPair } from '../../test/support/qemu-pair.ts';
import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Unit } from '../benchmark-result.ts';
import { type FioJob, fioLine, runFio } from '../fio.ts';
import { cpuTimeUs } from '../process-cpu.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 1024 * MIB;
const CHUNK_BYTES = 4096;

const RANDOM_WRITE: FioJob = {
  name: 'fresh-epoch',
  rw: 'randwrite',
  bs: '4k',
  iodepth: 32,
  norandommap: 0,
  size: DISK_BYTES,
  io_size: DISK_BYTES / 4,
};
/** Fills the buffer with 128 MiB of originals. */
const PRESERVE: FioJob = { name: 'preserve', rw: 'write', bs: '1m', iodepth: 4, size: 128 * MIB };

const WRITE_WORKLOAD = '4 KiB random write, depth 32, fresh epoch';
const CHECKPOINT_WORKLOAD = 'checkpoint with 128 MiB preserved';
const SEQUENCE_WORKLOAD = 'checkpoint with 128 MiB preserved, all commands as the client sees them';
const COLOBUS = 'colobus (unix)';
const QEMU = 'qemu-pair (unix)';

export const replicationGroup: BenchmarkGroup = {
  name: 'replication',
  summary: 'Replicated writes and checkpoints, against QEMU’s COLO pair',
  promises: [
    { subject: COLOBUS, workload: WRITE_WORKLOAD, peer: QEMU, relation: 'at least', want: 3 },
    { subject: COLOBUS, workload: CHECKPOINT_WORKLOAD, peer: null, relation: 'at most', want: 5 },
  ],
  run,
};

/** A pair under test. */
type Subject = AsyncDisposable & {
  readonly name: string;
  readonly uri: string;
  readonly pids: Readonly<Record<string, number>>;
  /** Quiesced; milliseconds of it by workload. */
  checkpoint(): Promise<Readonly<Record<string, number>>>;
  /** Throws unless the epoch's `requests` writes of 4 KiB chunks, each to another place, are all preserved. */
  verifyPreserved(chunks: number): Promise<void>;
};

async function run(options: BenchmarkOptions): Promise<Measurement[]> {
  options.report(fioLine(RANDOM_WRITE));
  options.report(`${fioLine(PRESERVE)}   (before the checkpoint that is timed)`);
  const samples = new Samples();
  await using qemu = await startQemu(options);
  await using colobus = await startColobus(options);
  for (const subject of [qemu, colobus]) {
    await measureWrites(subject, options, new Samples());
    options.report(`warm-up, not counted: ${subject.name} done`);
  }
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const subject of [qemu, colobus]) {
      await measureWrites(subject, options, samples);
      await measureCheckpoint(subject, options, samples);
      options.report(`round ${round} of ${options.rounds}: ${subject.name} done`);
    }
  }
  return samples.measurements();
}

async function measureWrites(subject: Subject, options: BenchmarkOptions, samples: Samples): Promise<void> {
  await subject.checkpoint();
  const before = await cpuTimes(subject.pids);
  const { iops, requests } = await runFio(RANDOM_WRITE, subject.uri, options.workDirectory);
  const after = await cpuTimes(subject.pids);
  await subject.verifyPreserved(requests);
  samples.add(WRITE_WORKLOAD, subject.name, 'IOPS', iops);
  for (const [process, us] of Object.entries(after)) {
    samples.addCpu(WRITE_WORKLOAD, subject.name, process, (us - (before[process] as number)) / requests);
  }
}

async function measureCheckpoint(subject: Subject, options: BenchmarkOptions, samples: Samples): Promise<void> {
  await subject.checkpoint();
  const { requests } = await runFio(PRESERVE, subject.uri, options.workDirectory);
  await subject.verifyPreserved((requests * MIB) / CHUNK_BYTES);
  for (const [workload, ms] of Object.entries(await subject.checkpoint())) {
    samples.add(workload, subject.name, 'ms', ms);
  }
}

async function startQemu({ workDirectory, diskDirectory }: BenchmarkOptions): Promise<Subject> {
  const directory = join(workDirectory, 'qemu');
  const pair = await QemuPair.start({ directory, sizeBytes: DISK_BYTES, link: 'unix', disks: diskDirectory });
  return {
    name: QEMU,
    uri: pair.primaryUri,
    pids: pair.pids,
    checkpoint: async () => ({ [CHECKPOINT_WORKLOAD]: await pair.checkpoint() }),
    // QEMU says nothing about its buffer; a failed copy would have failed the write, and with it fio or the checkpoint.
    verifyPreserved: async () => {},
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

async function startColobus({ workDirectory, diskDirectory }: BenchmarkOptions): Promise<Subject> {
  const pair = await ColobusPair.start({
    directory: workDirectory,
    disksDirectory: diskDirectory,
    sizeBytes: DISK_BYTES,
    allocated: true,
  });
  return {
    name: COLOBUS,
    uri: pair.disks[0].rootUri,
    pids: { primary: pair.primary.pid, secondary: pair.secondary.pid },
    checkpoint: async () => {
      const { prepareToDoneUs, sequenceMs } = await pair.checkpoint();
      return { [CHECKPOINT_WORKLOAD]: prepareToDoneUs / 1000, [SEQUENCE_WORKLOAD]: sequenceMs };
    },
    verifyPreserved: async chunks => {
      const [report] = await pair.secondaryReports();
      const { available, reason } = report?.images.checkpoint ?? { available: false };
      if (!available) throw new ColobusError(`The checkpoint image was given up during the round: ${reason ?? ''}`);
      const kept = report?.buffer?.chunks;
      if (kept !== chunks) throw new ColobusError(`${chunks} chunks were written and ${kept} are preserved`);
    },
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

async function cpuTimes(pids: Readonly<Record<string, number>>): Promise<Readonly<Record<string, number>>> {
  const times = Object.entries(pids).map(async ([process, pid]) => [process, await cpuTimeUs(pid)] as const);
  return Object.fromEntries(await Promise.all(times));
}

/** Samples by workload and subject, in the order they first came. */
class Samples {
  readonly #rows = new Map<string, MutableMeasurement>();

  add(workload: string, subject: string, unit: Unit, sample: number): void {
    const key = `${workload} / ${subject}`;
    const row = this.#rows.get(key) ?? { workload, subject, unit, samples: [], cpuUs: {} };
    row.samples.push(sample);
    this.#rows.set(key, row);
  }

  addCpu(workload: string, subject: string, process: string, us: number): void {
    const cpuUs = this.#rows.get(`${workload} / ${subject}`)?.cpuUs ?? {};
    cpuUs[process] = [...(cpuUs[process] ?? []), us];
  }

  measurements(): Measurement[] {
    return [...this.#rows.values()];
  }
}

type MutableMeasurement = Measurement & { readonly samples: number[]; readonly cpuUs: Record<string, number[]> };
