/** query-process-stats: what the daemon's process costs and how late its event loop was. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

const amount = z.int().min(0);

export const queryProcessStats: Command = defineCommand({
  name: 'query-process-stats',
  summary: 'Memory, processor time and event-loop delay of the daemon; reset forgets the delays once they are told',
  arguments: z.strictObject({
    reset: z.boolean().default(false).describe('begins to measure delays anew'),
  }),
  returns: z.strictObject({
    'event-loop-delay-us': z
      .strictObject({
        p50: amount.describe('median'),
        p99: amount.describe('one in a hundred was longer'),
        p999: amount.describe('one in a thousand was longer'),
        max: amount.describe('the longest'),
      })
      .describe(
        'microseconds for which the event loop kept others waiting, since the first question or the last reset',
      ),
    'rss-bytes': amount.describe('memory of the process'),
    'heap-bytes': amount.describe("memory of JavaScript's objects"),
    'external-bytes': amount.describe('memory that those objects hold outside the heap, such as buffers'),
    'cpu-us': z
      .strictObject({
        user: amount.describe('in the program'),
        system: amount.describe('in the kernel'),
      })
      .describe('microseconds of processor time since the start'),
    'uptime-ms': amount.describe('milliseconds since the start'),
  }),
  run: ({ reset }, { processStats }) => {
    const delay = processStats.eventLoopDelayUs();
    if (reset) processStats.reset();
    const { rss, heapUsed, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return {
      'event-loop-delay-us': delay,
      'rss-bytes': rss,
      'heap-bytes': heapUsed,
      'external-bytes': external,
      'cpu-us': { user, system },
      'uptime-ms': Math.round(process.uptime() * 1000),
    };
  },
});
