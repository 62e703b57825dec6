/** ExportContext: a metadata context of an export, which clients select by name and ask with NBD_CMD_BLOCK_STATUS. */

import type { BlockNode } from '../../block/block-node.ts';
import { ExtentList } from '../../block/extent-list.ts';
import type { NodeBitmap } from '../../block/node-bitmaps.ts';
import { BASE_ALLOCATION, QEMU_ALLOCATION_DEPTH, QEMU_DIRTY_BITMAP } from '../protocol/constants.ts';
import { MAX_EXTENTS } from './limits.ts';

export interface ExportContext {
  readonly name: string;
  /**
   * The statuses from `offset` on, over all or a part of `length` bytes. `allocation` is the node's answer to a
   * block-status over the same range.
   */
  extentsOf(offset: number, length: number, allocation: ExtentList): ExtentList;
}

export type ContextChoice = {
  /** Offers `qemu:allocation-depth`. */
  readonly allocationDepth: boolean;
  /** Offers `qemu:dirty-bitmap:NAME` of each. */
  readonly bitmaps: readonly NodeBitmap[];
};

/** What an export of `node` offers: `base:allocation`, what was chosen, and what the driver has of its own. */
export function contextsOf(node: BlockNode, { allocationDepth, bitmaps }: ContextChoice): readonly ExportContext[] {
  const depth = describedBy(QEMU_ALLOCATION_DEPTH, (offset, length, extents) =>
    node.describeDepth(offset, length, extents, MAX_EXTENTS),
  );
  return [
    { name: BASE_ALLOCATION, extentsOf: (_offset, _length, allocation) => allocation },
    ...(allocationDepth ? [depth] : []),
    ...bitmaps.map(({ name, bitmap }) =>
      describedBy(`${QEMU_DIRTY_BITMAP}${name}`, (offset, length, extents) =>
        bitmap.describe(offset, length, extents, MAX_EXTENTS),
      ),
    ),
    ...node.metaContexts.map(name =>
      describedBy(name, (offset, length, extents) => node.describeContext(name, offset, length, extents, MAX_EXTENTS)),
    ),
  ];
}

type Describe = (offset: number, length: number, extents: ExtentList) => void;

function describedBy(name: string, describe: Describe): ExportContext {
  return {
    name,
    extentsOf: (offset, length) => {
      const extents = new ExtentList();
      describe(offset, length, extents);
      return extents;
    },
  };
}
