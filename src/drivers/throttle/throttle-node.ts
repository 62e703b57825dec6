/** ThrottleNode: passes requests on as fast as the limits of its group allow. Flushes are not limited. */

import { UsageError } from '../../base/errors.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { filterPermissions } from '../../block/block-graph.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { FilterNode } from '../../block/filter-node.ts';
import { type ThrottleOptions, throttleOptions } from './options.ts';
import { ThrottleGroup, type ThrottleMember } from './throttle-group.ts';
import type { LaneUser } from './throttle-lane.ts';

export class ThrottleNode extends FilterNode implements LaneUser {
  readonly #findObject: (id: string) => unknown;
  #member: ThrottleMember;
  #hurries = 0;

  private constructor(file: BlockEdge, group: ThrottleGroup, context: OpenContext) {
    super({ name: context.nodeName, driver: 'throttle', readOnly: context.readOnly, image: file });
    this.#findObject = id => context.findObject(id);
    this.#member = group.join(this);
  }

  static async open(options: ThrottleOptions, context: OpenContext): Promise<ThrottleNode> {
    const file = await context.attach('file', options.file, filterPermissions(context.readOnly));
    // Looked for last: nothing waits between that and joining, so the group cannot be deleted meanwhile.
    const group = requireGroup(id => context.findObject(id), options['throttle-group']);
    return new ThrottleNode(file, group, context);
  }

  protected override perform(request: BlockRequest): void {
    if (request.kind === 'flush' || request.kind === 'block-status') this.image.submit(request);
    else if (this.#hurries > 0) this.#member.passNow(request);
    else this.#member.submit(request);
  }

  pass(request: BlockRequest): void {
    this.image.submit(request);
  }

  /** A drain waits for what is in flight: that goes now, and so does what comes until its end, as with QEMU. */
  override beginHurry(): void {
    this.#hurries += 1;
    this.#member.passAll();
  }

  override endHurry(): void {
    this.#hurries -= 1;
  }

  override async reopen(_changed: readonly string[], options: unknown): Promise<void> {
    const group = requireGroup(this.#findObject, (options as ThrottleOptions)['throttle-group']);
    this.#member.leave();
    this.#member = group.join(this);
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#member.leave();
  }
}

function requireGroup(findObject: (id: string) => unknown, id: string): ThrottleGroup {
  const object = findObject(id);
  if (object instanceof ThrottleGroup) return object;
  throw new UsageError(`Throttle group '${id}' does not exist`);
}

export const throttleDriver: Driver<ThrottleOptions> = {
  name: 'throttle',
  summary: 'Passes requests on as fast as a throttle-group allows',
  options: throttleOptions,
  open: ThrottleNode.open,
};
