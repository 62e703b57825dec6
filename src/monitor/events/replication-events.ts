/** The events of replication, which are Colobus's own. */

import * as z from 'zod';
import type { EventDefinition } from './event-definition.ts';

const nodeName = z.string().describe('the node');

export type ReplicationEventName =
  | 'REPLICATION_STATE_CHANGE'
  | 'REPLICATION_ERROR'
  | 'REPLICATION_CHECKPOINT'
  | 'COLO_BUFFER_LIMIT'
  | 'COLO_BUFFER_INVALID';

export const REPLICATION_EVENTS: Readonly<Record<ReplicationEventName, EventDefinition>> = {
  REPLICATION_STATE_CHANGE: {
    summary: 'A replicating node changed its state.',
    data: z.strictObject({
      'node-name': nodeName,
      state: z.enum(['none', 'running', 'degraded', 'failover', 'done', 'failed']).describe('the new state'),
      reason: z.string().describe('why, for people'),
    }),
  },
  REPLICATION_ERROR: {
    summary: 'A copy failed: a local write did, or the forwarded request that ended forwarding.',
    data: z.strictObject({
      'node-name': nodeName,
      child: z.string().describe('the node of the copy that failed'),
      operation: z.string().describe('what failed, such as `write` or `flush`'),
      offset: z.int().min(0).describe('first byte of the request'),
      length: z.int().min(0).describe('bytes of the request'),
      errno: z.int().describe('number of the error, as Linux has it'),
    }),
  },
  REPLICATION_CHECKPOINT: {
    summary: 'A checkpoint is done.',
    data: z.strictObject({
      'node-names': z.array(z.string()).describe('all nodes of the group'),
      checkpoint: z.int().min(0).describe('its number'),
      'duration-us': z.int().min(0).describe('microseconds from the prepare to the do'),
    }),
  },
  COLO_BUFFER_LIMIT: {
    summary: 'A COLO buffer reached a limit: take a checkpoint soon at the soft one.',
    data: z.strictObject({
      'node-name': nodeName,
      limit: z.enum(['soft', 'hard']).describe('which limit'),
      action: z.string().describe('what the buffer does about it'),
    }),
  },
  COLO_BUFFER_INVALID: {
    summary: 'The image `checkpoint` was given up until the next checkpoint; image `latest` is as good as before.',
    data: z.strictObject({ 'node-name': nodeName, reason: z.string().describe('why, for people') }),
  },
};
