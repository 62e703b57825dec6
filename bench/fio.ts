/** fio's nbd engine: the client of every benchmark. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { ColobusError } from '../src/base/errors.ts';

const TIMEOUT_MS = 1_200_000;
const NS_PER_MS = 1e6;

const directionSchema = z.object({
  iops: z.number(),
  bw_bytes: z.number(),
  total_ios: z.number(),
  clat_ns: z.object({ percentile: z.object({ '99.000000': z.number() }).optional() }),
});
const outputSchema = z.object({
  jobs: z.array(z.object({ error: z.number(), read: directionSchema, write: directionSchema })).length(1),
});

export type FioResult = {
  /** Requests of 1 s. */
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Requests in all. */
  readonly requests: number;
  /** 99 of 100 requests completed within so long; of the slower direction. */
  readonly p99Ms: number;
};

/** fio's arguments for a job; the same for every subject but for the URI. */
export type FioJob = Readonly<Record<string, string | number>>;

/** The line as a person would type it, with URI for the subject's own. */
export function fioLine(job: FioJob): string {
  return ['fio', ...argumentsOf(job), '--uri=URI'].join(' ');
}

/** Runs `job` against `uri`; throws where fio fails or reports an I/O error. `directory` is for its output. */
export async function runFio(job: FioJob, uri: string, directory: string): Promise<FioResult> {
  const folder = await mkdtemp(join(directory, 'fio-'));
  const output = join(folder, 'fio.json');
  const args = [...argumentsOf(job), `--uri=${uri}`, '--output-format=json', `--output=${output}`];
  try {
    await promisify(execFile)('fio', args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', cwd: folder });
    const { jobs } = outputSchema.parse(JSON.parse(await readFile(output, 'utf8')));
    const [{ error, read, write }] = jobs as [(typeof jobs)[number]];
    if (error !== 0) throw new ColobusError(`fio reported error ${error} on ${uri}`);
    return {
      iops: read.iops + write.iops,
      bytesPerSecond: read.bw_bytes + write.bw_bytes,
      requests: read.total_ios + write.total_ios,
      p99Ms: Math.max(p99Ns(read), p99Ns(write)) / NS_PER_MS,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function p99Ns(direction: z.infer<typeof directionSchema>): number {
  return direction.clat_ns.percentile?.['99.000000'] ?? 0;
}

function argumentsOf(job: FioJob): string[] {
  return ['--ioengine=nbd', ...Object.entries(job).map(([key, value]) => `--${key}=${value}`)];
}
