/** block-export-add: exports a node over NBD. */

import * as z from 'zod';
import { BITMAP_REFERENCE } from '../bitmap-reference.ts';
import { type Command, defineCommand } from '../command.ts';

/** NBD proto.md, "Values", limits strings to this many bytes. */
const MAX_STRING_BYTES = 4096;

export const blockExportAdd: Command = defineCommand({
  name: 'block-export-add',
  summary: 'Exports a node over NBD, read-only unless writable; its name is the node-name unless given',
  arguments: z.strictObject({
    type: z.enum(['nbd']),
    id: z.string(),
    'node-name': z.string(),
    name: z.string().max(MAX_STRING_BYTES).optional(),
    description: z.string().max(MAX_STRING_BYTES).optional(),
    writable: z.boolean().optional(),
    /** Offers `qemu:dirty-bitmap:NAME` of each: of the node or one below, or of the node that is named. */
    bitmaps: z.array(BITMAP_REFERENCE).optional(),
    /** Offers `qemu:allocation-depth`. */
    'allocation-depth': z.boolean().optional(),
  }),
  run: async (args, daemon) => {
    await daemon.exports.add({
      id: args.id,
      nodeName: args['node-name'],
      name: args.name ?? args['node-name'],
      writable: args.writable ?? false,
      bitmaps: args.bitmaps ?? [],
      allocationDepth: args['allocation-depth'] ?? false,
      ...(args.description === undefined ? {} : { description: args.description }),
    });
  },
});
