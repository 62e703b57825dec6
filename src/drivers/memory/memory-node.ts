/** MemoryNode: a disk in this process's memory, gone when the node is removed. */

import { assert } from '../../base/assert.ts';
import { ENOMEM } from '../../base/errno.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { type MemoryOptions, memoryOptions } from './options.ts';
import { SparseMemory } from './sparse-memory.ts';

/** The answer to a block-status covers at most this much, so that a huge disk does not stall the event loop. */
const STATUS_MAX_BYTES = 1024 ** 3;

export class MemoryNode extends BlockNode {
  readonly #memory = new SparseMemory();

  constructor(options: MemoryOptions, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'memory',
      lengthBytes: options.size,
      readOnly: context.readOnly,
      limits: { ...DEFAULT_LIMITS, fastZeroes: true },
    });
  }

  protected override perform(request: BlockRequest): void {
    const { offset, length, buffer, at } = request;
    switch (request.kind) {
      case 'read':
        this.#memory.read(offset, length, buffer, at);
        break;
      case 'write':
        request.complete(this.#write(request));
        return;
      case 'write-zeroes':
      case 'discard':
        this.#memory.zero(offset, length);
        break;
      case 'block-status':
        this.#describe(request);
        break;
      case 'flush':
      case 'cache':
        break;
    }
    request.complete(0);
  }

  override async resize(lengthBytes: number): Promise<void> {
    this.resized(lengthBytes);
  }

  override async setReadOnly(readOnly: boolean): Promise<void> {
    if (readOnly) this.checkNoWriters();
    this.readOnlyChanged(readOnly);
  }

  #write(request: BlockRequest): number {
    try {
      this.#memory.write(request.offset, request.length, request.buffer, request.at);
      return 0;
    } catch (error) {
      if (error instanceof RangeError) return ENOMEM;
      throw error;
    }
  }

  #describe(request: BlockRequest): void {
    assert(request.extents !== null, 'A block-status brings the list for its answer');
    const length = Math.min(request.length, STATUS_MAX_BYTES);
    for (let done = 0; done < length; ) {
      const run = this.#memory.runAt(request.offset + done, length - done);
      request.extents.append(run.length, run.allocated ? 0 : EXTENT_HOLE | EXTENT_ZERO);
      done += run.length;
    }
  }
}

export const memoryDriver: Driver<MemoryOptions> = {
  name: 'memory',
  summary: "A disk in the process's memory",
  options: memoryOptions,
  open: async (options, context) => new MemoryNode(options, context),
};
