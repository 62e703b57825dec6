/** block-export-add: exports a node over NBD. */

import * as z from 'zod';
import { BITMAP_REFERENCE } from '../bitmap-reference.ts';
import { type Command, defineCommand } from '../command.ts';

/** NBD proto.md, "Values", limits strings to this many bytes. */
export const MAX_STRING_BYTES = 4096;

export const blockExportAdd: Command = defineCommand({
  name: 'block-export-add',
  summary: 'Exports a node over NBD, read-only unless writable; its name is the node-name unless given',
  arguments: z.strictObject({
    type: z.enum(['nbd']).describe('how it is exported'),
    id: z.string().describe('id of the export: a letter, then letters, digits, `.`, `_` and `-`'),
    'node-name': z.string().describe('the node'),
    name: z.string().max(MAX_STRING_BYTES).optional().describe('what clients ask for; the node-name if left out'),
    description: z.string().max(MAX_STRING_BYTES).optional().describe('text for clients that list the exports'),
    writable: z.boolean().default(false).describe('whether clients may write'),
    writethrough: z.boolean().default(false).describe('makes every write durable before it is answered'),
    iothread: z.string().optional().describe('an object that must exist; accepted for scripts, without effect'),
    'fixed-iothread': z.boolean().optional().describe('accepted for scripts, without effect'),
    bitmaps: z
      .array(BITMAP_REFERENCE)
      .optional()
      .describe(
        'dirty bitmaps that clients may read as metadata context `qemu:dirty-bitmap:NAME`: of the node or one below, ' +
          'or of the node that is named',
      ),
    'allocation-depth': z.boolean().default(false).describe('offers metadata context `qemu:allocation-depth`'),
  }),
  errors: [
    '`NBD server not running`: send nbd-server-start first',
    "`Block export id 'ID' is already in use`, `NBD server already has export named 'NAME'`",
    '`Cannot export read-only node as writable`',
  ],
  run: (args, daemon) => {
    if (args.iothread !== undefined) daemon.objects.checkIothread(args.iothread);
    daemon.exports.add({
      id: args.id,
      nodeName: args['node-name'],
      name: args.name ?? args['node-name'],
      writable: args.writable,
      writethrough: args.writethrough,
      bitmaps: args.bitmaps ?? [],
      allocationDepth: args['allocation-depth'],
      ...(args.description === undefined ? {} : { description: args.description }),
    });
  },
});
