/** block-dirty-bitmap-merge: adds what bitmaps recorded to another of a disk as long. */

import * as z from 'zod';
import { UsageError } from '../../base/errors.ts';
import { BITMAP_REFERENCE } from '../bitmap-reference.ts';
import { type Command, defineCommand } from '../command.ts';
import { findNode } from '../find-node.ts';

export const blockDirtyBitmapMerge: Command = defineCommand({
  name: 'block-dirty-bitmap-merge',
  summary: 'Adds what bitmaps of this or other nodes of the same size recorded to the bitmap target',
  arguments: z.strictObject({
    node: z.string().describe('the node of the target'),
    target: z.string().describe('the bitmap that is added to'),
    bitmaps: z.array(BITMAP_REFERENCE).describe('the bitmaps that are added, which stay as they are'),
  }),
  errors: ["`Bitmaps are of different sizes (destination size is N, source size is M) and can't be merged`"],
  run: ({ node: nodeName, target: targetName, bitmaps }, daemon) => {
    const node = findNode(daemon.graph, nodeName);
    const target = node.bitmaps.checkUnused(targetName).bitmap;
    const sources = bitmaps.map(reference =>
      typeof reference === 'string'
        ? node.bitmaps.get(reference)
        : findNode(daemon.graph, reference.node).bitmaps.get(reference.name),
    );
    for (const { bitmap } of sources) {
      if (bitmap.lengthBytes !== target.lengthBytes) {
        throw new UsageError(
          `Bitmaps are of different sizes (destination size is ${target.lengthBytes}, source size is ${bitmap.lengthBytes}) and can't be merged`,
        );
      }
    }
    for (const { bitmap } of sources) target.merge(bitmap);
  },
});
