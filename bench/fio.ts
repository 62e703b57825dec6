/** fio's nbd engine: the client of every benchmark. */

import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { ColobusError } from '../src/base/errors.ts';

const TIMEOUT_MS = 300_000;

const directionSchema = z.object({ iops: z.number(), bw_bytes: z.number(), total_ios: z.number() });
const outputSchema = z.object({
  jobs: z.array(z.object({ error: z.number(), read: directionSchema, write: directionSchema })).length(1),
});

export type FioResult = {
  /** Requests of 1 s. */
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Requests in all. */
  readonly requests: number;
};

/** fio's arguments for a job; the same for every subject but for the URI. */
export type FioJob = Readonly<Record<string, string | number>>;

/** The line as a person would type it, with URI for the subject's own. */
export function fioLine(job: FioJob): string {
  return ['fio', ...argumentsOf(job), '--uri=URI'].join(' ');
}

/** Runs `job` against `uri`; throws where fio fails or reports an I/O error. `directory` is for its output. */
export async function runFio(job: FioJob, uri: string, directory: string): Promise<FioResult> {
  const output = join(directory, 'fio.json');
  const args = [...argumentsOf(job), `--uri=${uri}`, '--output-format=json', `--output=${output}`];
  try {
    await promisify(execFile)('fio', args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', cwd: directory });
    const { jobs } = outputSchema.parse(JSON.parse(await readFile(output, 'utf8')));
    const [{ error, read, write }] = jobs as [(typeof jobs)[number]];
    if (error !== 0) throw new ColobusError(`fio reported error ${error} on ${uri}`);
    const [one, other] = [read, write];
    return {
      iops: one.iops + other.iops,
      bytesPerSecond: one.bw_bytes + other.bw_bytes,
      requests: one.total_ios + other.total_ios,
    };
  } finally {
    await rm(output, { force: true });
  }
}

function argumentsOf(job: FioJob): string[] {
  return ['--ioengine=nbd', ...Object.entries(job).map(([key, value]) => `--${key}=${value}`)];
}
