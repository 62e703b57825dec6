/** Subject: a server under test, ours or a peer's. */

import type { BenchmarkOptions } from './benchmark-group.ts';
import type { Unit } from './benchmark-result.ts';
import { type FioJob, type FioResult, runFio } from './fio.ts';
import { cpuTimeUs } from './process-cpu.ts';
import type { Samples } from './samples.ts';

export type Subject = AsyncDisposable & {
  readonly name: string;
  /** The disk that fio is pointed at. */
  readonly uri: string;
  /** Its processes by name, whose processor time is told. */
  readonly pids: Readonly<Record<string, number>>;
};

/** A row of the result and the fio job that makes it. */
export type Workload = { readonly name: string; readonly unit: Extract<Unit, 'IOPS' | 'MiB/s'>; readonly job: FioJob };

const MIB = 1024 * 1024;

/** Runs a workload on a subject and adds its figure, and the processor time of each process, to `samples`. */
export async function measure(
  { name, unit, job }: Workload,
  subject: Subject,
  samples: Samples,
  options: Pick<BenchmarkOptions, 'workDirectory'>,
): Promise<FioResult> {
  const before = await cpuTimes(subject);
  const result = await runFio(job, subject.uri, options.workDirectory);
  const after = await cpuTimes(subject);
  samples.add(name, subject.name, unit, unit === 'IOPS' ? result.iops : result.bytesPerSecond / MIB);
  const cpuUs = after.map(([process, us], index) => [process, (us - (before[index]?.[1] ?? 0)) / result.requests]);
  samples.addCpu(name, subject.name, Object.fromEntries(cpuUs));
  return result;
}

async function cpuTimes({ pids }: Subject): Promise<(readonly [process: string, us: number])[]> {
  return await Promise.all(Object.entries(pids).map(async ([name, pid]) => [name, await cpuTimeUs(pid)] as const));
}
