/** NullNode: a disk of any size that forgets what is written and reads as zeroes. */

import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { EXTENT_HOLE, EXTENT_ZERO } from '../../block/extent-list.ts';
import { type NullOptions, nullOptions } from './options.ts';

const NS_PER_MS = 1_000_000;

export class NullNode extends BlockNode {
  readonly #clock: Clock;
  readonly #latencyMs: number;

  constructor(options: NullOptions, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'null',
      lengthBytes: options.size,
      readOnly: context.readOnly,
      limits: { ...DEFAULT_LIMITS, fastZeroes: true },
    });
    this.#clock = context.clock;
    this.#latencyMs = Math.ceil(options['latency-ns'] / NS_PER_MS);
  }

  protected override perform(request: BlockRequest): void {
    if (request.kind === 'read') {
      request.buffer.fill(0, request.at, request.at + request.length);
    } else if (request.kind === 'block-status') {
      assert(request.extents !== null, 'A block-status brings the list for its answer');
      request.extents.append(request.length, EXTENT_HOLE | EXTENT_ZERO);
    }
    if (this.#latencyMs === 0) request.complete(0);
    else this.#clock.after(this.#latencyMs, () => request.complete(0));
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
