/** query-process-stats: what the daemon's process costs and how late its event loop was. */

import * as z from 'zod';
import { type Command, defineCommand } from '../command.ts';

export const queryProcessStats: Command = defineCommand({
  name: 'query-process-stats',
  summary: 'Memory, processor time and event-loop delay of the daemon; reset forgets the delays once they are told',
  arguments: z.strictObject({ reset: z.boolean().default(false) }),
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
