/**
 * FuzzNode: a disk in memory that takes its time and answers out of order, but in a way that can be foretold.
 *
 * A request has its effect when it completes, so that memory which the server gives back too early shows. Requests that
 * overlap have their effect in the order in which they came. What touches the bad range fails with EIO and changes
 * nothing.
 */

import { assert } from '../../src/base/assert.ts';
import { EIO } from '../../src/base/errno.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../src/block/block-node.ts';
import type { BlockRequest } from '../../src/block/block-request.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { ExportModel } from './export-model.ts';

export class FuzzNode extends BlockNode {
  readonly content: Buffer;
  /** What changed the disk, in the order of arrival. */
  readonly changes: string[] = [];
  readonly #model: ExportModel;
  readonly #random: SeededRandom;
  readonly #pending: BlockRequest[] = [];
  #scheduled = false;

  constructor(model: ExportModel, random: SeededRandom) {
    const { sizeBytes, fastZeroes, alignment } = model;
    const limits = { ...DEFAULT_LIMITS, fastZeroes, requestAlignment: alignment };
    super({ name: `node-${model.name}`, driver: 'fuzz', lengthBytes: sizeBytes, readOnly: false, limits });
    this.content = Buffer.from(model.content);
    this.#model = model;
    this.#random = random;
  }

  get isIdle(): boolean {
    return this.#pending.length === 0;
  }

  protected override perform(request: BlockRequest): void {
    const { kind, offset, length } = request;
    if (request.changesData && !this.#isBad(request)) this.changes.push(`${kind} ${offset} ${length}`);
    for (const earlier of this.#pending.filter(other => overlaps(other, request))) this.#finish(earlier);
    if (this.#random.below(3) === 0) {
      this.#carryOut(request);
      return;
    }
    this.#pending.push(request);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#pending.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (let left = this.#random.between(1, 4); left > 0 && this.#pending.length > 0; left--) {
        this.#finish(this.#pending[this.#random.below(this.#pending.length)] as BlockRequest);
      }
      this.#schedule();
    });
  }

  #finish(request: BlockRequest): void {
    this.#pending.splice(this.#pending.indexOf(request), 1);
    this.#carryOut(request);
  }

  #isBad({ kind, offset, length }: BlockRequest): boolean {
    const { badStart, badEnd } = this.#model;
    return (
      kind !== 'flush' && kind !== 'block-status' && kind !== 'cache' && offset < badEnd && offset + length > badStart
    );
  }

  #carryOut(request: BlockRequest): void {
    const { kind, offset, length, buffer, at } = request;
    if (this.#isBad(request)) {
      request.complete(EIO);
      return;
    }
    if (kind === 'read') this.content.copy(buffer, at, offset, offset + length);
    if (kind === 'write') buffer.copy(this.content, offset, at, at + length);
    if (kind === 'write-zeroes' || kind === 'discard') this.content.fill(0, offset, offset + length);
    if (kind === 'block-status') this.#describe(request);
    request.complete(0);
  }

  #describe(request: BlockRequest): void {
    assert(request.extents !== null, 'A block-status brings the list for its answer');
    const end = request.offset + request.length;
    for (let at = request.offset; at < end; ) {
      const next = Math.min(end, at - (at % 512) + 512);
      request.extents.append(next - at, statusAt(this.content, at));
      at = next;
    }
  }
}

/** The flags of `base:allocation` for the sector at `at`: one of zeroes counts as a hole. */
export function statusAt(content: Buffer, at: number): number {
  const start = at - (at % 512);
  return content.subarray(start, start + 512).every(byte => byte === 0) ? 3 : 0;
}

function overlaps(one: BlockRequest, other: BlockRequest): boolean {
  if (one.kind === 'flush' || other.kind === 'flush') return false;
  const start = one.offset - (one.offset % 512);
  const otherStart = other.offset - (other.offset % 512);
  return start < other.offset + other.length + 512 && otherStart < one.offset + one.length + 512;
}
