/** block-dirty-bitmap-add: begins to record what is written to a node. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { DIRTY_GRANULARITY_BYTES } from '../../block/dirty-bitmap.ts';
import { whileDrained } from '../../block/drain.ts';
import { uint32 } from '../../block/qapi-types.ts';
import { type Command, defineCommand } from '../command.ts';

const MIN_GRANULARITY = 512;

export const blockDirtyBitmapAdd: Command = defineCommand({
  name: 'block-dirty-bitmap-add',
  summary: 'Begins to record what is written to a node, in a bitmap that lives as long as the daemon',
  arguments: z.strictObject({
    node: z.string().describe('the node whose writes are recorded'),
    name: z.string().describe('name of the bitmap, of 1 to 1023 bytes'),
    granularity: uint32()
      .default(DIRTY_GRANULARITY_BYTES)
      .describe('bytes that one bit stands for, a power of two from 512 on'),
    persistent: z.boolean().default(false).describe('must be false: bitmaps are kept in memory only'),
    disabled: z.boolean().default(false).describe('true makes a bitmap that records nothing until it is merged into'),
  }),
  errors: [
    '`Bitmap already exists: NAME`',
    '`Granularity must be power of 2 and at least 512`',
    "`Can't store persistent bitmaps to NODE: Operation not supported`",
  ],
  run: async ({ node: nodeName, name, granularity, persistent, disabled }, daemon) => {
    if (name === '') throw new UsageError('Bitmap name cannot be empty');
    const node = daemon.graph.node(nodeName, nodeName);
    if (granularity < MIN_GRANULARITY || !Number.isInteger(Math.log2(granularity))) {
      throw new UsageError(`Granularity must be power of 2 and at least ${MIN_GRANULARITY}`);
    }
    if (persistent) {
      throw new UsageError(`Can't store persistent bitmaps to ${nodeName}: Operation not supported`);
    }
    await whileDrained(node, daemon.clock, () => node.bitmaps.add(name, granularity, !disabled));
  },
});
