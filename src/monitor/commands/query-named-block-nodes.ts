/** query-named-block-nodes: the nodes of the daemon. */

import * as z from 'zod';
import type { BlockNode } from '../../block/block-node.ts';
import type { NodeBitmap } from '../../block/node-bitmaps.ts';
import { type Command, defineCommand } from '../command.ts';

const BITMAP_INFO = z.strictObject({
  name: z.string().optional().describe('the bitmap'),
  count: z.int().min(0).describe('bytes that are dirty'),
  granularity: z.int().min(0).describe('bytes that one bit stands for'),
  recording: z.boolean().describe('whether writes are recorded'),
  busy: z.boolean().describe('whether an export shows it'),
  persistent: z.boolean().describe('always false: bitmaps are kept in memory'),
});

const limit = z.int().min(0).describe('always 0: the throttle driver has the limits');

const NODE_INFO = z.strictObject({
  file: z.string().describe('the image, or what stands for it'),
  'node-name': z.string().optional().describe('the node'),
  ro: z.boolean().describe('whether it is read-only'),
  drv: z.string().describe('its driver'),
  backing_file_depth: z.int().describe('always 0'),
  encrypted: z.boolean().describe('always false'),
  detect_zeroes: z.enum(['off', 'on', 'unmap']).describe('always `off`'),
  bps: limit,
  bps_rd: limit,
  bps_wr: limit,
  iops: limit,
  iops_rd: limit,
  iops_wr: limit,
  image: z
    .strictObject({
      filename: z.string().describe('as in `file`'),
      format: z.string().describe('its driver'),
      'dirty-flag': z.boolean().optional().describe('always false'),
      'virtual-size': z.int().min(0).describe('its size in bytes'),
    })
    .describe('the image'),
  cache: z
    .strictObject({
      writeback: z.boolean().describe('always true: writes are durable once they are flushed'),
      direct: z.boolean().describe('always false'),
      'no-flush': z.boolean().describe('always false'),
    })
    .describe('how writes are cached'),
  write_threshold: z.int().describe('always 0'),
  'dirty-bitmaps': z.array(BITMAP_INFO).optional().describe('the dirty bitmaps, if it has any'),
});

export const queryNamedBlockNodes: Command = defineCommand({
  name: 'query-named-block-nodes',
  summary: "The nodes, in the shape of QEMU's BlockDeviceInfo; `flat` changes nothing here",
  arguments: z.strictObject({
    flat: z.boolean().default(false).describe('leaves out images below the image, of which there are none here'),
  }),
  returns: z.array(NODE_INFO),
  run: (_args, { graph }) =>
    graph
      .nodes()
      .map(node => describe(node, graph.driverName(node)))
      .reverse(),
});

/** In the shape of QEMU's BlockDirtyInfo. */
function describeBitmap({ name, bitmap, enabled, users }: NodeBitmap): object {
  const { dirtyBytes, granularityBytes } = bitmap;
  return {
    name,
    count: dirtyBytes,
    granularity: granularityBytes,
    recording: enabled,
    busy: users > 0,
    persistent: false,
  };
}

function describe(node: BlockNode, driver: string): object {
  const bitmaps = node.bitmaps.list();
  return {
    'node-name': node.name,
    drv: driver,
    ro: node.readOnly,
    file: node.filename,
    image: { filename: node.filename, format: driver, 'virtual-size': node.lengthBytes, 'dirty-flag': false },
    cache: { writeback: true, direct: false, 'no-flush': false },
    detect_zeroes: 'off',
    encrypted: false,
    backing_file_depth: 0,
    write_threshold: 0,
    bps: 0,
    bps_rd: 0,
    bps_wr: 0,
    iops: 0,
    iops_rd: 0,
    iops_wr: 0,
    ...(bitmaps.length === 0 ? {} : { 'dirty-bitmaps': bitmaps.map(describeBitmap) }),
  };
}
