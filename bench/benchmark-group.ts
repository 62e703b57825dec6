/** BenchmarkGroup: some workloads, the subjects they run on, and what is promised about them. */

import type { Measurement, Promised } from './benchmark-result.ts';

export type BenchmarkOptions = {
  readonly rounds: number;
  /** How long a timed workload runs. A workload that is one pass over something takes as long as it takes. */
  readonly seconds: number;
  /** An existing folder for the disks. */
  readonly diskDirectory: string;
  /** An existing folder on a file system that is not in memory, unless the person who chose it wants it so. */
  readonly realDirectory: string;
  /** An existing folder for sockets and fio's output; the caller removes it. */
  readonly workDirectory: string;
  /** For people: what is being done. */
  report(line: string): void;
};

export type BenchmarkGroup = {
  readonly name: string;
  readonly summary: string;
  readonly promises: readonly Promised[];
  /** All subjects in turn, `rounds` times over. */
  run(options: BenchmarkOptions): Promise<Measurement[]>;
};
