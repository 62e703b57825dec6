/** query-blockstats: how many requests nodes have had. */

import * as z from 'zod';
import type { BlockNode } from '../../block/block-node.ts';
import type { IoCounters } from '../../block/io-counters.ts';
import { type Command, defineCommand } from '../command.ts';

const unmeasured = z.literal(0).describe('not measured');

/** In the shape of QEMU's BlockDeviceStats. */
const DEVICE_STATS = z.strictObject({
  rd_bytes: z.int().describe('bytes read'),
  wr_bytes: z.int().describe('bytes written, zeroes included'),
  unmap_bytes: z.int().describe('bytes discarded'),
  rd_operations: z.int().describe('reads that succeeded'),
  wr_operations: z.int().describe('writes that succeeded, zeroes included'),
  flush_operations: z.int().describe('flushes that succeeded'),
  unmap_operations: z.int().describe('discards that succeeded'),
  wr_highest_offset: z.int().describe('where the furthest write ended'),
  failed_rd_operations: z.int().describe('reads that failed'),
  failed_wr_operations: z.int().describe('writes that failed'),
  failed_flush_operations: z.int().describe('flushes that failed'),
  failed_unmap_operations: z.int().describe('discards that failed'),
  rd_total_time_ns: unmeasured,
  wr_total_time_ns: unmeasured,
  flush_total_time_ns: unmeasured,
  unmap_total_time_ns: unmeasured,
  rd_merged: unmeasured,
  wr_merged: unmeasured,
  unmap_merged: unmeasured,
  invalid_rd_operations: unmeasured,
  invalid_wr_operations: unmeasured,
  invalid_flush_operations: unmeasured,
  invalid_unmap_operations: unmeasured,
  account_invalid: z.boolean().describe('false'),
  account_failed: z.boolean().describe('false'),
  timed_stats: z.array(z.strictObject({})).describe('empty'),
});

const SHAPE = {
  'node-name': z.string().describe('the node'),
  stats: DEVICE_STATS.describe('what exports and jobs had of it'),
};

/** The images below have the same members. */
const BELOW = z.looseObject(SHAPE);

const NODE_STATS = z.strictObject({
  ...SHAPE,
  parent: BELOW.optional().describe('the same of the image below'),
  backing: BELOW.optional().describe('the same of the backing image'),
});

type NodeStats = {
  readonly 'node-name': string;
  readonly stats: z.infer<typeof DEVICE_STATS>;
  readonly parent?: NodeStats;
  readonly backing?: NodeStats;
};

export const queryBlockstats: Command = defineCommand({
  name: 'query-blockstats',
  summary:
    'With query-nodes, what exports and jobs had of each node they use; without, nothing: there are no guest devices',
  arguments: z.strictObject({ 'query-nodes': z.boolean().default(false).describe('tells of the nodes') }),
  returns: z.array(NODE_STATS),
  run: ({ 'query-nodes': queryNodes }, daemon) => (queryNodes ? daemon.graph.nodes().map(statsOf) : []),
});

/** `parent` is QEMU's name for the image below. */
function statsOf(node: BlockNode): NodeStats {
  const below = node.children.get('file')?.node ?? node.children.get('image')?.node;
  const backing = node.children.get('backing')?.node;
  return {
    'node-name': node.name,
    stats: deviceStats(node.counters),
    ...(below === undefined ? {} : { parent: statsOf(below) }),
    ...(backing === undefined ? {} : { backing: statsOf(backing) }),
  };
}

function deviceStats(counters: IoCounters): NodeStats['stats'] {
  return {
    rd_bytes: counters.readBytes,
    wr_bytes: counters.writtenBytes,
    unmap_bytes: counters.discardedBytes,
    rd_operations: counters.reads,
    wr_operations: counters.writes,
    flush_operations: counters.flushes,
    unmap_operations: counters.discards,
    rd_total_time_ns: 0,
    wr_total_time_ns: 0,
    flush_total_time_ns: 0,
    unmap_total_time_ns: 0,
    wr_highest_offset: counters.highestWriteEnd,
    rd_merged: 0,
    wr_merged: 0,
    unmap_merged: 0,
    failed_rd_operations: counters.failedReads,
    failed_wr_operations: counters.failedWrites,
    failed_flush_operations: counters.failedFlushes,
    failed_unmap_operations: counters.failedDiscards,
    invalid_rd_operations: 0,
    invalid_wr_operations: 0,
    invalid_flush_operations: 0,
    invalid_unmap_operations: 0,
    account_invalid: false,
    account_failed: false,
    timed_stats: [],
  };
}
