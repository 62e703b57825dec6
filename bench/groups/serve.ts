/**
 * One image served to one client: `colobus serve` against nbdkit's file plugin and qemu-nbd.
 *
 * Each server has an image of its own, full of random bytes. All run all the time, and take each workload in turn.
 */

import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Promised } from '../benchmark-result.ts';
import { fioLine } from '../fio.ts';
import { NBDCOPY_READ, nbdcopyRead } from '../nbdcopy.ts';
import { inRounds } from '../rounds.ts';
import { COLOBUS_SERVE, NBDKIT, QEMU_NBD, startServer } from '../server-subjects.ts';
import { measure, type Workload } from '../subject.ts';

const IMAGE_BYTES = 1024 ** 3;

const DIRECTIONS = ['read', 'write'] as const;
const SEQUENTIAL = [
  { size: '64 KiB', bs: '64k', iodepth: 16 },
  { size: '1 MiB', bs: '1m', iodepth: 8 },
] as const;

export const serveGroup: BenchmarkGroup = {
  name: 'serve',
  summary: 'One image for one client: colobus serve, nbdkit and qemu-nbd',
  promises: [
    ...promised(32, { [NBDKIT]: 1.2, [QEMU_NBD]: 3 }),
    ...promised(1, { [NBDKIT]: 1.4, [QEMU_NBD]: 2 }),
    ...sequentialNames().map(workload => atLeast(workload, NBDKIT, 1)),
  ],
  run,
};

async function run(options: BenchmarkOptions): Promise<Measurement[]> {
  const workloads = workloadsOf(options.seconds);
  for (const { job } of workloads) options.report(fioLine(job));
  await using colobus = await startServer(COLOBUS_SERVE, options, IMAGE_BYTES);
  await using nbdkit = await startServer(NBDKIT, options, IMAGE_BYTES);
  await using qemuNbd = await startServer(QEMU_NBD, options, IMAGE_BYTES);
  const subjects = [colobus, nbdkit, qemuNbd];
  return await inRounds(options, async samples => {
    for (const workload of workloads) {
      for (const subject of subjects) await measure(workload, subject, samples, options);
    }
    for (const subject of subjects) {
      samples.add(NBDCOPY_READ, subject.name, 'MiB/s', await nbdcopyRead(subject.uri, IMAGE_BYTES));
    }
  });
}

function workloadsOf(seconds: number): Workload[] {
  const timed = { size: IMAGE_BYTES, runtime: seconds, time_based: 1 };
  const random = ([32, 1] as const).flatMap(depth =>
    DIRECTIONS.map((direction): Workload => {
      const job = { name: `rand${direction}-${depth}`, rw: `rand${direction}`, bs: '4k', iodepth: depth, ...timed };
      return { name: randomName(direction, depth), unit: 'IOPS', job };
    }),
  );
  const sequential = SEQUENTIAL.flatMap(({ size, bs, iodepth }) =>
    DIRECTIONS.map((direction): Workload => {
      const job = { name: `${direction}-${bs}`, rw: direction, bs, iodepth, ...timed };
      return { name: sequentialName(size, direction, iodepth), unit: 'MiB/s', job };
    }),
  );
  return [...random, ...sequential];
}

function randomName(direction: string, depth: number): string {
  return `4 KiB random ${direction}, depth ${depth}`;
}

function sequentialName(size: string, direction: string, depth: number): string {
  return `${size} sequential ${direction}, depth ${depth}`;
}

function sequentialNames(): string[] {
  return SEQUENTIAL.flatMap(({ size, iodepth }) =>
    DIRECTIONS.map(direction => sequentialName(size, direction, iodepth)),
  );
}

function promised(depth: number, factors: Readonly<Record<string, number>>): Promised[] {
  return DIRECTIONS.flatMap(direction =>
    Object.entries(factors).map(([peer, want]) => atLeast(randomName(direction, depth), peer, want)),
  );
}

function atLeast(workload: string, peer: string, want: number): Promised {
  return { subject: COLOBUS_SERVE, workload, peer, relation: 'at least', want };
}
