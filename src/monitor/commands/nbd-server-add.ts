/** nbd-server-add: QEMU's older block-export-add. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';
import { MAX_STRING_BYTES } from './block-export-add.ts';

export const nbdServerAdd: Command = defineCommand({
  name: 'nbd-server-add',
  summary:
    'Deprecated, see block-export-add: exports node `device` as `name`, which is its id too and `device` unless given. ' +
    'A read-only node is exported read-only whatever `writable` says',
  arguments: z.strictObject({
    device: z.string().describe('the node'),
    name: z.string().max(MAX_STRING_BYTES).optional().describe('what clients ask for, and the id'),
    description: z.string().max(MAX_STRING_BYTES).optional().describe('text for clients that list the exports'),
    writable: z.boolean().optional().describe('whether clients may write'),
    bitmap: z.string().optional().describe('a dirty bitmap that clients may read'),
  }),
  run: ({ device, name = device, description, writable, bitmap }, daemon) => {
    const node = daemon.graph.find(device);
    if (node === undefined) throw new UsageError(`Cannot find device='${device}' nor node-name='${device}'`);
    daemon.exports.add({
      id: name,
      nodeName: device,
      name,
      writable: writable === true && !node.readOnly,
      bitmaps: bitmap === undefined ? [] : [bitmap],
      ...(description === undefined ? {} : { description }),
    });
  },
});
