/** ExportContext: a metadata context of an export, which clients select by name and ask with NBD_CMD_BLOCK_STATUS. */

import type { ExtentList } from '../../block/extent-list.ts';
import { BASE_ALLOCATION } from '../protocol/constants.ts';

export interface ExportContext {
  readonly name: string;
  /**
   * The statuses from `offset` on, over all or a part of `length` bytes. `allocation` is the node's answer to a
   * block-status over the same range.
   */
  extentsOf(offset: number, length: number, allocation: ExtentList): ExtentList;
}

export const allocationContext: ExportContext = {
  name: BASE_ALLOCATION,
  extentsOf: (_offset, _length, allocation) => allocation,
};
