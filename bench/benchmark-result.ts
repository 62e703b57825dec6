/** The result of a benchmark run: what `bench/results/LATEST.json` holds and the table shows. */

export type Unit = 'IOPS' | 'MiB/s' | 'ms' | 'MiB' | '×' | '%' | 'checkpoints';

export type Row = {
  readonly workload: string;
  readonly subject: string;
  readonly unit: Unit;
  /** One number a round. */
  readonly samples: readonly number[];
  readonly median: number;
  /** (largest - smallest) / median; 0 where the median is. */
  readonly spread: number;
  /** This row's median divided by that of the same workload for a peer. */
  readonly ratio: Readonly<Record<string, number>>;
  /** User and system time, where the workload is made of requests. */
  readonly cpuUsPerRequest: Readonly<Record<string, number>>;
};

export type Target = {
  readonly workload: string;
  readonly subject: string;
  /** The peer that the median is divided by; null where the median itself is held against `want`. */
  readonly peer: string | null;
  readonly relation: 'at least' | 'at most';
  readonly want: number;
  readonly got: number;
  readonly met: boolean;
};

export type BenchmarkResult = {
  /** The groups that were run, separated by spaces. */
  readonly group: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
  /** Groups that could not be measured, and why; their targets are missed. */
  readonly failures: readonly GroupFailure[];
};

export type GroupFailure = { readonly group: string; readonly reason: string };

/** One subject's numbers for one workload, as a group measured them. */
export type Measurement = {
  readonly workload: string;
  readonly subject: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  /** Microseconds of processor time a request, for each process and round. */
  readonly cpuUs?: Readonly<Record<string, readonly number[]>>;
};

/** What a group promises about the rows of `subject`. */
export type Promised = Pick<Target, 'workload' | 'subject' | 'peer' | 'relation' | 'want'>;

/** A promise to be as fast as a peer, 1.0 ×, is kept within this. */
const NOISE = 0.05;

/** Medians, spreads and, for each measurement, its ratio to the other subjects of the same workload. */
export function summarize(measurements: readonly Measurement[]): Row[] {
  return measurements.map(({ workload, subject, unit, samples, cpuUs = {} }) => {
    const peers = measurements.filter(other => other.workload === workload && other.subject !== subject);
    const own = median(samples);
    return {
      workload,
      subject,
      unit,
      samples,
      median: own,
      spread: own === 0 ? 0 : (Math.max(...samples) - Math.min(...samples)) / Math.abs(own),
      ratio: Object.fromEntries(peers.map(peer => [peer.subject, own / median(peer.samples)])),
      cpuUsPerRequest: Object.fromEntries(Object.entries(cpuUs).map(([process, us]) => [process, median(us)])),
    };
  });
}

/** Throws where a promise is about a row that is not there. */
export function judge(rows: readonly Row[], promises: readonly Promised[]): Target[] {
  return promises.map(promised => {
    const { subject, workload, peer } = promised;
    const row = rows.find(candidate => candidate.workload === workload && candidate.subject === subject);
    const got = peer === null ? row?.median : row?.ratio[peer];
    if (got === undefined) throw new Error(`No row for '${workload}' of ${subject} against ${peer ?? 'a number'}`);
    return {
      subject,
      workload,
      peer,
      relation: promised.relation,
      want: promised.want,
      got,
      met: isMet(promised, got),
    };
  });
}

function isMet({ peer, relation, want }: Promised, got: number): boolean {
  if (relation === 'at most') return got <= want;
  return got >= (peer !== null && want === 1 ? 1 - NOISE : want);
}

/** True for Colobus itself, under whatever conditions, and false for a peer. */
export function isOurs(subject: string): boolean {
  return subject.startsWith('colobus');
}

/** The middle one; of an even number, the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return ((low as number) + (high as number)) / 2;
}
