/** NullNode: a disk of any size that forgets what is written and reads as zeroes. */

import { assert } from '../../base/assert.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { type NullOptions, nullOptions } from './options.ts';

export class NullNode extends BlockNode {
  constructor(options: NullOptions, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'null',
      lengthBytes: options.size,
      readOnly: context.readOnly,
      limits: { ...DEFAULT_LIMITS, fastZeroes: true },
    });
  }

  protected override perform(request: BlockRequest): void {
    if (request.kind === 'read') {
      request.buffer.fill(0, request.at, request.at + request.length);
    } else if (request.kind === 'block-status') {
      assert(request.extents !== null, 'A block-status brings the list for its answer');
      request.extents.append(request.length, EXTENT_HOLE | EXTENT_ZERO);
    }
    request.complete(0);
  }

  override async setReadOnly(readOnly: boolean): Promise<void> {
    if (readOnly) this.checkNoWriters();
    this.readOnlyChanged(readOnly);
  }
}

export const nullDriver: Driver<NullOptions> = {
  name: 'null',
  aliases: ['null-co', 'null-aio'],
  summary: 'A disk that forgets what is written and reads as zeroes',
  options: nullOptions,
  open: async (options, context) => new NullNode(options, context),
};
