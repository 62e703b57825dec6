/** Which ranges a job copies that is not to copy only what changes. */

import type { BlockNode } from '../block/block-node.ts';
import type { DirtyBitmap } from '../block/dirty-bitmap.ts';
import { ExtentList } from '../block/extent-list.ts';

/** `full`: all of the image; `top`: what lies in the topmost image of it; `none`: nothing. */
export type SyncMode = 'full' | 'top' | 'none';

const EXTENTS_AT_ONCE = 1024;
/** Depth of what the node has itself. */
const OWN_DEPTH = 1;

/** Adds to `bitmap` what of `node` is to be copied. */
export function addInitialRanges(bitmap: DirtyBitmap, node: BlockNode, sync: SyncMode): void {
  if (sync === 'full') bitmap.add(0, node.lengthBytes);
  if (sync !== 'top') return;
  for (let at = 0; at < node.lengthBytes; ) {
    const extents = new ExtentList();
    node.describeDepth(at, node.lengthBytes - at, extents, EXTENTS_AT_ONCE);
    for (const [index, length] of extents.lengths.entries()) {
      if (extents.flags[index] === OWN_DEPTH) bitmap.add(at, length);
      at += length;
    }
  }
}
