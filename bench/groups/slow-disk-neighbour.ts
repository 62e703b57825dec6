/**
 * One daemon with two exports: an image in memory, and one on a FUSE mount that answers in 50 ms. Each round runs the
 * load on the fast export alone, and then with 32 requests in flight on the slow one as well.
 */

import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { formatNbdUri } from '../../src/nbd/uri.ts';
import { Daemon } from '../../test/support/daemon.ts';
import { fetchProcessStats } from '../../test/support/process-stats.ts';
import { SlowMount } from '../../test/support/slow-mount.ts';
import type { BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Promised } from '../benchmark-result.ts';
import { fioLine } from '../fio.ts';
import { inRounds } from '../rounds.ts';
import { sampledMax } from '../sampled-max.ts';
import { createFullImage } from '../server-subjects.ts';
import { measure, type Subject, type Workload } from '../subject.ts';

const MIB = 1024 * 1024;
const IMAGE_BYTES = 256 * MIB;
const DELAY_MS = 50;
/** The slow export has its requests in flight this long before the load on the fast one begins. */
const HEAD_START_MS = 500;

const ALONE = 'colobus, fast export alone';
const BESIDE = 'colobus, fast export beside a slow one';
const SLOW = `colobus, export that answers in ${DELAY_MS} ms`;
const RATE = '4 KiB random read and write, depth 32';
const KEPT = 'rate that the fast export keeps beside a slow one';
const STALL = 'event-loop stall p99';
const ANSWER = 'longest answer of the monitor';

export const NEIGHBOUR_PROMISES: readonly Promised[] = [
  { subject: BESIDE, workload: KEPT, peer: null, relation: 'at least', want: 0.8 },
  { subject: BESIDE, workload: STALL, peer: null, relation: 'at most', want: 20 },
  { subject: BESIDE, workload: ANSWER, peer: null, relation: 'at most', want: 100 },
];

export async function measureNeighbour(options: BenchmarkOptions): Promise<Measurement[]> {
  const { workDirectory, diskDirectory, seconds } = options;
  options.report(fioLine(loadFor(seconds).job));
  const [fastImage, slowImage] = [join(diskDirectory, 'fast.img'), join(diskDirectory, 'slow.img')];
  for (const image of [fastImage, slowImage]) await createFullImage(image, IMAGE_BYTES);
  const directory = join(workDirectory, 'mount');
  await using mount = await SlowMount.start({ directory, image: slowImage, delayMs: DELAY_MS });
  const socket = join(workDirectory, 'exports.nbd');
  await using daemon = await startDaemon(workDirectory, socket, { fast: fastImage, slow: mount.path });
  const pids = { daemon: daemon.pid };
  const subject = (name: string, exportName: string, processes: Subject['pids']): Subject => ({
    name,
    uri: formatNbdUri({ address: { kind: 'unix', path: socket }, exportName, tls: false }),
    pids: processes,
    [Symbol.asyncDispose]: async () => {},
  });
  return await inRounds(options, async samples => {
    const alone = await measure(loadFor(seconds), subject(ALONE, 'fast', pids), samples, options);
    // Without processor time: what the daemon spends meanwhile, it spends on the fast export.
    const slow = measure(loadFor(seconds + 1), subject(SLOW, 'slow', {}), samples, options);
    await Promise.race([pause(HEAD_START_MS), slow]);
    await fetchProcessStats(daemon.qmp, { reset: true });
    const { result, largest } = await sampledMax(
      () => answerMs(daemon),
      () => measure(loadFor(seconds), subject(BESIDE, 'fast', pids), samples, options),
    );
    const { eventLoopDelayUs } = await fetchProcessStats(daemon.qmp);
    await slow;
    samples.add(KEPT, BESIDE, '×', result.iops / alone.iops);
    samples.add(STALL, BESIDE, 'ms', eventLoopDelayUs.p99 / 1000);
    samples.add(ANSWER, BESIDE, 'ms', largest[0] as number);
  });
}

async function startDaemon(
  directory: string,
  socket: string,
  images: Readonly<Record<string, string>>,
): Promise<Daemon> {
  const nodes = Object.entries(images).flatMap(([name, filename]) => [
    ...['--blockdev', JSON.stringify({ driver: 'file', 'node-name': name, filename })],
    ...['--export', `nbd,id=${name},node-name=${name},writable=on`],
  ]);
  const args = ['--nbd-server', `addr.type=unix,addr.path=${socket}`, ...nodes];
  return await Daemon.start({ directory, name: 'daemon', args });
}

async function answerMs({ qmp }: Daemon): Promise<number[]> {
  const startMs = performance.now();
  await qmp.execute('query-block-exports');
  return [performance.now() - startMs];
}

function loadFor(seconds: number): Workload {
  const timed = { size: IMAGE_BYTES, runtime: seconds, time_based: 1 };
  return { name: RATE, unit: 'IOPS', job: { name: 'load', rw: 'randrw', bs: '4k', iodepth: 32, ...timed } };
}
