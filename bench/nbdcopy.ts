/** nbdcopy as a client: four connections and 64 requests on each, its own choice. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const TIMEOUT_MS = 300_000;
const MIB = 1024 * 1024;

export const NBDCOPY_READ = 'nbdcopy of the disk to nowhere';
export const NBDCOPY_WRITE = 'nbdcopy of a file to the disk';

/** Reads the disk of `bytes` once; MiB/s. */
export async function nbdcopyRead(uri: string, bytes: number): Promise<number> {
  return await timed([uri, 'null:'], bytes);
}

/** Writes `file` of `bytes` to the start of the disk once; MiB/s. */
export async function nbdcopyWrite(file: string, uri: string, bytes: number): Promise<number> {
  return await timed([file, uri], bytes);
}

async function timed(args: readonly string[], bytes: number): Promise<number> {
  const startMs = performance.now();
  await promisify(execFile)('nbdcopy', args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
  return bytes / MIB / ((performance.now() - startMs) / 1000);
}
