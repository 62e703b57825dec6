/** query-named-block-nodes: the nodes of the daemon. */

import * as z from 'zod';
import type { BlockNode } from '../../block/block-node.ts';
import type { NodeBitmap } from '../../block/node-bitmaps.ts';
import { type Command, defineCommand } from '../command.ts';

export const queryNamedBlockNodes: Command = defineCommand({
  name: 'query-named-block-nodes',
  summary: "The nodes, in the shape of QEMU's BlockDeviceInfo; `flat` changes nothing here",
  arguments: z.strictObject({ flat: z.boolean().optional() }),
  run: (_args, daemon) => daemon.graph.nodes().map(describe).reverse(),
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

function describe(node: BlockNode): object {
  const bitmaps = node.bitmaps.list();
  return {
    'node-name': node.name,
    drv: node.driver,
    ro: node.readOnly,
    file: node.filename,
    image: { filename: node.filename, format: node.driver, 'virtual-size': node.lengthBytes, 'dirty-flag': false },
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
