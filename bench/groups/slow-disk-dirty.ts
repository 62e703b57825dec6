/**
 * Writes past the kernel's dirty threshold, on a real file system: from there on the kernel makes whoever writes wait
 * for the disk. To get there takes a run as long as the disk is slow: `--seconds 60`.
 */

import { open, readFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { formatNbdUri } from '../../src/nbd/uri.ts';
import { fileSystemKind } from '../../src/os/file-system.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import type { BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Promised } from '../benchmark-result.ts';
import { type FioJob, fioLine } from '../fio.ts';
import { inRounds } from '../rounds.ts';
import { measure } from '../subject.ts';

const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;
/** Of the threshold, so that overwriting what is dirty already does not keep below it. */
const IMAGE_FACTOR = 1.5;

const SUBJECT = 'colobus, image on a real file system';
const RATE = '1 MiB sequential write, depth 8';
const WRITTEN = 'written, as a multiple of the dirty threshold';
const STALL = 'event-loop stall p99.9';
const LONGEST = 'longest event-loop stall';

export const DIRTY_PROMISES: readonly Promised[] = [
  { subject: SUBJECT, workload: STALL, peer: null, relation: 'at most', want: 50 },
];

export async function measureDirty(options: BenchmarkOptions): Promise<Measurement[]> {
  const { realDirectory, workDirectory, seconds } = options;
  if ((await fileSystemKind(realDirectory)) === 'memory')
    options.report(`${realDirectory} is in memory; give --dir another`);
  const thresholdBytes = await dirtyThresholdBytes();
  const sizeBytes = await imageBytes(realDirectory, thresholdBytes);
  const job: FioJob = {
    ...{ name: 'dirty', rw: 'write', bs: '1m', iodepth: 8 },
    ...{ size: sizeBytes, runtime: seconds, time_based: 1 },
  };
  options.report(`${fioLine(job)}   (dirty threshold: ${Math.round(thresholdBytes / MIB)} MiB)`);
  return await inRounds(options, async samples => {
    const image = join(realDirectory, 'dirty.img');
    await createSparse(image, sizeBytes);
    try {
      const socket = join(workDirectory, 'dirty.nbd');
      await using daemon = await startDaemon(workDirectory, socket, image);
      const uri = formatNbdUri({ address: { kind: 'unix', path: socket }, exportName: 'disk', tls: false });
      await fetchProcessStats(daemon.qmp, { reset: true });
      const subject = { name: SUBJECT, uri, pids: { daemon: daemon.pid }, [Symbol.asyncDispose]: async () => {} };
      const { requests } = await measure({ name: RATE, unit: 'MiB/s', job }, subject, samples, options);
      const { eventLoopDelayUs } = await fetchProcessStats(daemon.qmp);
      samples.add(WRITTEN, SUBJECT, '×', (requests * MIB) / thresholdBytes);
      samples.add(STALL, SUBJECT, 'ms', eventLoopDelayUs.p999 / 1000);
      samples.add(LONGEST, SUBJECT, 'ms', eventLoopDelayUs.max / 1000);
    } finally {
      await rm(image);
    }
  });
}

async function startDaemon(directory: string, socket: string, filename: string): Promise<Daemon> {
  const args = [
    ...['--blockdev', JSON.stringify({ driver: 'file', 'node-name': 'disk', filename })],
    ...['--nbd-server', `addr.type=unix,addr.path=${socket}`],
    ...['--export', 'nbd,id=disk,node-name=disk,writable=on'],
  ];
  return await Daemon.start({ directory, name: 'dirty', args });
}

/** Where the kernel begins to hold writers back (proc(5), /proc/vmstat). */
async function dirtyThresholdBytes(): Promise<number> {
  const [, pages] = /^nr_dirty_threshold (\d+)$/m.exec(await readFile('/proc/vmstat', 'latin1')) ?? [];
  return Number(pages) * PAGE_BYTES;
}

/** At most half of what is free, in whole MiB. */
async function imageBytes(directory: string, thresholdBytes: number): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return Math.floor(Math.min(thresholdBytes * IMAGE_FACTOR, (bavail * bsize) / 2) / MIB) * MIB;
}

async function createSparse(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'wx');
  await file.truncate(bytes);
}
