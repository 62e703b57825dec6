/** What `query-process-stats` says of a daemon (docs/replication.md). */

import * as z from 'zod';
import type { QmpClient } from '../../src/monitor/index.ts';

export type ProcessReport = {
  readonly eventLoopDelayUs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly cpuUs: { readonly user: number; readonly system: number };
  readonly uptimeMs: number;
};

const amount = z.int().min(0);

const answerSchema: z.ZodType<ProcessReport> = z
  .strictObject({
    'event-loop-delay-us': z.strictObject({ p50: amount, p99: amount, p999: amount, max: amount }),
    'rss-bytes': amount,
    'heap-bytes': amount,
    'external-bytes': amount,
    'cpu-us': z.strictObject({ user: amount, system: amount }),
    'uptime-ms': amount,
  })
  .transform(answer => ({
    eventLoopDelayUs: answer['event-loop-delay-us'],
    rssBytes: answer['rss-bytes'],
    heapBytes: answer['heap-bytes'],
    externalBytes: answer['external-bytes'],
    cpuUs: answer['cpu-us'],
    uptimeMs: answer['uptime-ms'],
  }));

/** Asks a daemon's monitor; with `reset` it forgets the delays it tells. */
export async function fetchProcessStats(
  qmp: QmpClient,
  options: { readonly reset?: boolean } = {},
): Promise<ProcessReport> {
  return answerSchema.parse(await qmp.execute('query-process-stats', options));
}
