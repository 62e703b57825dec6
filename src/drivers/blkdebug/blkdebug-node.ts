/**
 * BlkdebugNode: passes requests on to an image and fails, delays or tears those that its rules hit.
 *
 * An injected flush failure is one of a disk: it latches, as a failed fsync does, and a write with FUA contains a flush.
 */

import type { Clock } from '../../base/clock.ts';
import type { BlockEdge } from '../../block/block-edge.ts';
import { filterPermissions } from '../../block/block-graph.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import { FailureLatch } from '../../block/failure-latch.ts';
import { FilterNode } from '../../block/filter-node.ts';
import { InjectionRules, sectorAt } from './injection-rules.ts';
import { type BlkdebugOptions, blkdebugOptions, type InjectError } from './options.ts';

export class BlkdebugNode extends FilterNode implements RequestOwner {
  readonly #clock: Clock;
  readonly #rules: InjectionRules;
  readonly #delayMs: number;
  readonly #torn: number;
  readonly #latch = new FailureLatch();

  private constructor(image: BlockEdge, options: BlkdebugOptions, context: OpenContext) {
    super({ name: context.nodeName, driver: 'blkdebug', readOnly: context.readOnly, image });
    this.#clock = context.clock;
    this.#rules = new InjectionRules(options['inject-error']);
    this.#delayMs = options['delay-ms'];
    this.#torn = options.torn;
  }

  static async open(options: BlkdebugOptions, context: OpenContext): Promise<BlkdebugNode> {
    const image = await context.attach('image', options.image, filterPermissions(context.readOnly));
    return new BlkdebugNode(image, options, context);
  }

  protected override perform(request: BlockRequest): void {
    const rule = this.#rules.take(request, request.kind);
    const delayMs = rule?.['delay-ms'] ?? this.#delayMs;
    if (rule?.immediately || (rule === null && delayMs === 0)) this.#carryOut(request, rule);
    else this.#clock.after(delayMs, () => this.#carryOut(request, rule));
  }

  requestDone(child: BlockRequest): void {
    const { parent, tag } = child;
    const errno = tag || child.errno;
    releaseRequest(child);
    parent?.complete(errno);
  }

  #carryOut(request: BlockRequest, rule: InjectError | null): void {
    if (this.#latch.errno !== 0 && (request.changesData || request.kind === 'flush')) {
      request.complete(this.#latch.errno);
    } else if (rule !== null && rule.errno !== 0) {
      this.#fail(request, rule);
    } else if (request.fua) {
      this.#passOnWithFua(request);
    } else {
      this.#passOn(request, request.length, 0);
    }
  }

  #fail(request: BlockRequest, rule: InjectError): void {
    if (request.kind === 'flush') this.#latch.fail(rule.errno);
    const torn = request.kind === 'write' ? this.#tornBytes(request, rule) : 0;
    if (request.kind === 'read' && rule.sector !== undefined) request.errorAt = sectorAt(rule.sector);
    if (torn > 0) this.#passOn(request, torn, rule.errno);
    else request.complete(rule.errno);
  }

  /** The write happens; where a rule fails flushes, the flush in it does not. */
  #passOnWithFua(request: BlockRequest): void {
    const rule = this.#rules.take(request, 'flush');
    if (rule !== null) this.#latch.fail(rule.errno);
    this.#passOn(request, request.length, rule?.errno ?? 0);
  }

  /** Sends the first `length` bytes on; `errno`, if not 0, is the answer whatever comes of it. */
  #passOn(request: BlockRequest, length: number, errno: number): void {
    const child = takeChildRequest(request, this);
    child.length = length;
    child.tag = errno;
    if (errno !== 0) child.fua = false;
    this.image.submit(child);
  }

  #tornBytes(request: BlockRequest, rule: InjectError): number {
    const torn = Math.min(rule.torn ?? this.#torn, request.length);
    return torn - (torn % this.limits.requestAlignment);
  }
}

export const blkdebugDriver: Driver<BlkdebugOptions> = {
  name: 'blkdebug',
  summary: 'Scripted errors, delays and torn writes, for tests',
  options: blkdebugOptions,
  open: BlkdebugNode.open,
};
