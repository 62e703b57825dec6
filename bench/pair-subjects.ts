/** Pairs under test: two Colobus daemons, and QEMU's COLO pair. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ColobusError } from '../src/base/errors.ts';
import { ColobusPair, type ColobusPairOptions, type ReplicationReport } from '../test/support/colobus-pair.ts';
import { QemuPair } from '../test/support/qemu-pair.ts';
import type { BenchmarkOptions } from './benchmark-group.ts';
import { type FioJob, type FioResult, runFio } from './fio.ts';
import type { Samples } from './samples.ts';
import { measure, type Subject, type Workload } from './subject.ts';

const MIB = 1024 * 1024;
/** Granularity of the buffer and of every request of 4 KiB. */
export const CHUNK_BYTES = 4096;
/** A disk is filled in pieces with a checkpoint after each, so that no buffer reaches its limit. */
const FILL_BYTES = 256 * MIB;

export type CheckpointMs = {
  /** What the secondary says, from its prepare to its do. */
  readonly secondaryMs: number;
  /** What the client sees, from the first command to the last answer. */
  readonly sequenceMs: number;
};

export type PairSubject = Subject & {
  /** Quiesced. */
  checkpoint(): Promise<CheckpointMs>;
  /** `xen-colo-do-checkpoint` on the secondary alone, in milliseconds as the client sees them. Quiesced. */
  checkpointSecondary(): Promise<number>;
  /** Throws unless the epoch's writes, which were of `chunks` different chunks, are all preserved. */
  verifyPreserved(chunks: number): Promise<void>;
  /** Runs a workload of writes that begins a fresh epoch, and throws unless all of it was preserved. */
  measure(workload: Workload, samples: Samples): Promise<FioResult>;
};

/** Starts QEMU's pair and fills its disk. */
export async function startQemuPair(
  name: string,
  options: BenchmarkOptions,
  { sizeBytes, link }: { readonly sizeBytes: number; readonly link: 'unix' | 'tcp' },
): Promise<PairSubject> {
  const directory = join(options.workDirectory, slugOf(name));
  const pair = await QemuPair.start({ directory, sizeBytes, link, disks: options.diskDirectory });
  const subject = {
    name,
    uri: pair.primaryUri,
    pids: pair.pids,
    checkpoint: async () => {
      const startMs = performance.now();
      const secondaryMs = await pair.checkpoint();
      return { secondaryMs, sequenceMs: performance.now() - startMs };
    },
    checkpointSecondary: () => pair.checkpoint(),
    // QEMU says nothing about its buffer; a failed copy would have failed the write, and with it fio or the checkpoint.
    verifyPreserved: async () => {},
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
  return await filled(subject, options, sizeBytes);
}

/** Starts two daemons and fills their disk. */
export async function startColobusPair(
  name: string,
  options: BenchmarkOptions,
  pairOptions: Omit<ColobusPairOptions, 'directory' | 'disksDirectory'>,
): Promise<PairSubject> {
  const pair = await openColobusPair(name, options, pairOptions);
  return await filled(colobusSubject(name, pair), options, pairOptions.sizeBytes);
}

/** Two daemons in folders of their own, with empty disks. */
export async function openColobusPair(
  name: string,
  options: BenchmarkOptions,
  pairOptions: Omit<ColobusPairOptions, 'directory' | 'disksDirectory'>,
): Promise<ColobusPair> {
  const directory = join(options.workDirectory, slugOf(name));
  const disksDirectory = join(options.diskDirectory, slugOf(name));
  for (const folder of [directory, disksDirectory]) await mkdir(folder, { recursive: true });
  return await ColobusPair.start({ ...pairOptions, directory, disksDirectory });
}

/** A pair whose disk may be empty. */
export type BarePair = Omit<PairSubject, 'measure'>;

/** The pair's first disk, and its daemons. */
export function colobusSubject(name: string, pair: ColobusPair): BarePair {
  return {
    name,
    uri: pair.disks[0].rootUri,
    pids: { primary: pair.primary.pid, secondary: pair.secondary.pid },
    checkpoint: async () => {
      const { prepareToDoneUs, sequenceMs } = await pair.checkpoint();
      return { secondaryMs: prepareToDoneUs / 1000, sequenceMs };
    },
    checkpointSecondary: () => pair.checkpointSecondary(),
    verifyPreserved: async chunks => {
      const report = await availableImage(pair);
      const kept = report?.buffer?.chunks;
      if (kept !== chunks) throw new ColobusError(`${chunks} chunks were written and ${kept} are preserved`);
    },
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

/** What the secondary says of the first disk; throws where it has given the `checkpoint` image up. */
export async function availableImage(pair: ColobusPair): Promise<ReplicationReport | undefined> {
  const [report] = await pair.secondaryReports();
  const { available, reason } = report?.images.checkpoint ?? { available: false };
  if (!available) throw new ColobusError(`The checkpoint image was given up during the round: ${reason ?? ''}`);
  return report;
}

/** Writes all of the disk once, so that no chunk of it is zeroes. */
export async function fillDisk(pair: BarePair, options: BenchmarkOptions, sizeBytes: number): Promise<void> {
  for (let offset = 0; offset < sizeBytes; offset += FILL_BYTES) {
    const job: FioJob = { name: 'fill', rw: 'write', bs: '1m', iodepth: 4, offset, size: FILL_BYTES };
    await runFio(job, pair.uri, options.workDirectory);
    await pair.checkpoint();
  }
}

/** `pair` with a full disk; disposed where that fails. */
async function filled(pair: BarePair, options: BenchmarkOptions, sizeBytes: number): Promise<PairSubject> {
  try {
    await fillDisk(pair, options, sizeBytes);
  } catch (error) {
    await pair[Symbol.asyncDispose]();
    throw error;
  }
  return {
    ...pair,
    async measure(workload, samples) {
      await pair.checkpoint();
      const result = await measure(workload, pair, samples, options);
      await pair.verifyPreserved(distinctChunks(workload.job, result, sizeBytes));
      return result;
    },
  };
}

/** A job meets a block again only when it has met them all. */
function distinctChunks({ bs, size }: FioJob, { requests }: FioResult, sizeBytes: number): number {
  const blockBytes = { '4k': 4096, '64k': 65_536, '1m': MIB }[String(bs)] ?? Number(bs);
  return Math.min(requests * blockBytes, Number(size ?? sizeBytes)) / CHUNK_BYTES;
}

/** For file names: sockets in a folder have short names. */
function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/-$/, '');
}
