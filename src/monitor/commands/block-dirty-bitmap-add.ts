/** block-dirty-bitmap-add: begins to record what is written to a node. */

import * as z from 'zod';
import { DIRTY_GRANULARITY_BYTES } from '../../block/dirty-bitmap.ts';
import { whileDrained } from '../../block/drain.ts';
import { type Command, defineCommand } from '../command.ts';

const MIN_GRANULARITY = 512;
const MAX_GRANULARITY = 2 ** 31;

export const blockDirtyBitmapAdd: Command = defineCommand({
  name: 'block-dirty-bitmap-add',
  summary: 'Begins to record what is written to a node, in a bitmap that lives as long as the daemon',
  arguments: z.strictObject({
    node: z.string(),
    name: z.string(),
    granularity: z
      .int()
      .min(MIN_GRANULARITY)
      .max(MAX_GRANULARITY)
      .refine(bytes => Number.isInteger(Math.log2(bytes)), { error: 'Granularity must be power of 2' })
      .default(DIRTY_GRANULARITY_BYTES),
    /** True makes a bitmap that records nothing until it is merged into. */
    disabled: z.boolean().default(false),
    persistent: z.literal(false, { error: 'bitmaps are kept in memory only' }).optional(),
  }),
  run: async ({ node: nodeName, name, granularity, disabled }, daemon) => {
    const node = daemon.graph.node(nodeName);
    await whileDrained(node, daemon.clock, () => node.bitmaps.add(name, granularity, !disabled));
  },
});
