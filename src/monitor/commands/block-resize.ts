/** block_resize: makes an image larger. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { type Command, defineCommand } from '../command.ts';

export const blockResize: Command = defineCommand({
  name: 'block_resize',
  summary: 'Makes the image of a node that nobody uses larger; a replicated disk keeps its size',
  arguments: z.strictObject({
    device: z.string().optional().describe("QEMU's other way to name it: no node has a device here"),
    'node-name': z.string().optional().describe('the node'),
    size: z.int().describe('its new size in bytes'),
  }),
  errors: [
    "`Permission conflict on node 'NODE': permissions 'resize' are unshared by …`: remove its users first",
    '`Image is read-only`',
  ],
  run: async ({ device, 'node-name': name, size }, daemon) => {
    const node = name === undefined ? undefined : daemon.graph.find(name);
    if (node === undefined) throw new UsageError(`Cannot find device='${device ?? ''}' nor node-name='${name ?? ''}'`);
    if (size < 0) throw new UsageError("Parameter 'size' expects a >0 size");
    await daemon.graph.resize(node, size);
  },
});
