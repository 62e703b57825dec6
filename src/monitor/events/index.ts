/** All events of the monitor by name, in the order of the documentation. */

import * as z from 'zod';
import type { BlockEvent } from '../../block/block-event.ts';
import type { EventDefinition } from './event-definition.ts';
import { JOB_EVENTS, type JobEventName } from './job-events.ts';
import { QUORUM_EVENTS, type QuorumEventName } from './quorum-events.ts';
import { REPLICATION_EVENTS, type ReplicationEventName } from './replication-events.ts';

type DaemonEventName = 'BLOCK_EXPORT_DELETED' | 'BLOCK_IO_ERROR' | 'SHUTDOWN';

const DAEMON_EVENTS: Readonly<Record<DaemonEventName, EventDefinition>> = {
  BLOCK_EXPORT_DELETED: {
    summary: 'An export is gone: its id and its name may be used again.',
    data: z.strictObject({ id: z.string().describe('the export') }),
  },
  BLOCK_IO_ERROR: {
    summary: 'A request of an export failed.',
    // A disk that is gone fails as many requests as its clients send.
    rateLimit: { intervalMs: 1000, key: 'node-name' },
    data: z.strictObject({
      device: z.string().describe('the export or device that asked; empty where it has no name'),
      'node-name': z.string().optional().describe('the node it asked'),
      operation: z.enum(['read', 'write']).describe('what failed'),
      action: z.enum(['ignore', 'report', 'stop']).describe('what is done about it'),
      nospace: z.boolean().optional().describe('true where the storage is full'),
      reason: z.string().describe('the error, for people'),
    }),
  },
  SHUTDOWN: {
    summary: 'The daemon ends: it drains, flushes and closes everything in order.',
    data: z.strictObject({
      guest: z.boolean().describe('false: no guest asked for it'),
      reason: z.enum(['host-qmp-quit', 'host-signal']).describe('who asked: a monitor, or a signal'),
    }),
  },
};

export type EventName = DaemonEventName | JobEventName | QuorumEventName | ReplicationEventName | BlockEvent['name'];

/** An event that a node emits must be declared here too: this does not compile where it is not. */
export const events: Readonly<Record<EventName, EventDefinition>> = {
  ...DAEMON_EVENTS,
  ...JOB_EVENTS,
  ...QUORUM_EVENTS,
  ...REPLICATION_EVENTS,
};
