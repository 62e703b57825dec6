/** The events of the quorum driver. Both come at most once a second, as from QEMU: they are no log of what differs. */

import * as z from 'zod';
import type { EventDefinition } from './event-definition.ts';

const INTERVAL_MS = 1000;

const sectors = {
  'sector-num': z.int().min(0).describe('first sector of 512 bytes'),
  'sectors-count': z.int().min(0).describe('number of sectors'),
};

export type QuorumEventName = 'QUORUM_FAILURE' | 'QUORUM_REPORT_BAD';

export const QUORUM_EVENTS: Readonly<Record<QuorumEventName, EventDefinition>> = {
  QUORUM_FAILURE: {
    summary: 'A quorum could not be reached: the request failed.',
    data: z.strictObject({ reference: z.string().describe('the quorum node'), ...sectors }),
    rateLimit: { intervalMs: INTERVAL_MS },
  },
  QUORUM_REPORT_BAD: {
    summary: 'A child of a quorum failed or returned other data than the winner of the vote.',
    data: z.strictObject({
      type: z.enum(['read', 'write', 'flush']).describe('what it failed at'),
      error: z.string().optional().describe('the error; left out where the data differed'),
      'node-name': z.string().describe('the child'),
      ...sectors,
    }),
    rateLimit: { intervalMs: INTERVAL_MS, key: 'node-name' },
  },
};
