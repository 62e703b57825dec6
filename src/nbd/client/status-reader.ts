/**
 * StatusReader: takes the extents of one status chunk of a reply to a block-status, checked one by one.
 *
 * Extents of base:allocation go to the request's ExtentList, extents of every selected context to its MetadataExtents,
 * whichever of the two the request has.
 */

import { assert } from '../../base/assert.ts';
import { EOVERFLOW } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { BASE_ALLOCATION, NBD_STATE_HOLE, NBD_STATE_ZERO } from '../protocol/constants.ts';
import { MetadataExtents } from './metadata-extents.ts';
import type { Slot } from './slot-table.ts';

/** Extents of one chunk (NBD proto.md suggests 2^20 as the most that a server sends). */
export const MAX_EXTENTS: number = 2 ** 20;

export class StatusReader {
  readonly #contexts: ReadonlyMap<number, string>;
  readonly #minBlockBytes: number;
  #slot: Slot | null = null;
  #request: BlockRequest | null = null;
  #context = '';
  #extentsLeft = 0;
  #coveredBytes = 0;

  /** `contexts` are the names of the selected metadata contexts by id; extents are multiples of `minBlockBytes`. */
  constructor(contexts: ReadonlyMap<number, string>, minBlockBytes: number) {
    this.#contexts = contexts;
    this.#minBlockBytes = minBlockBytes;
  }

  /** Begins a chunk with `extents` extents of the context `id`, part of the reply to the request in `slot`. */
  begin(slot: Slot, id: number, extents: number): void {
    const context = this.#contexts.get(id);
    if (context === undefined) {
      throw new ProtocolError(`A status chunk names the metadata context ${id}, which was not selected`);
    }
    if (slot.statusContexts.includes(id)) {
      throw new ProtocolError(`Two status chunks of one reply name the metadata context ${id}`);
    }
    slot.statusContexts.push(id);
    this.#slot = slot;
    this.#request = slot.request;
    this.#context = context;
    this.#extentsLeft = extents;
    this.#coveredBytes = 0;
  }

  /** Takes the next extent; true for the last one. `flagsLow` is the lower half of `flags`. */
  take(length: number, flags: number, flagsLow: number): boolean {
    const request = this.#request;
    assert(request !== null, 'An extent belongs to a status chunk that has begun');
    if (length === 0) throw new ProtocolError('An extent of a status chunk has a length of 0');
    const room = request.length - this.#coveredBytes;
    if (room <= 0) throw new ProtocolError('A status chunk has extents beyond the end of its request');
    const used = Math.min(length, room);
    if (used < room && used % this.#minBlockBytes !== 0) {
      throw new ProtocolError(`An extent of ${used} bytes is no multiple of the minimum block ${this.#minBlockBytes}`);
    }
    if (this.#context === BASE_ALLOCATION) request.extents?.append(used, flagsLow & (NBD_STATE_HOLE | NBD_STATE_ZERO));
    if (request.context instanceof MetadataExtents) {
      if (!Number.isSafeInteger(flags)) (this.#slot as Slot).errno ||= EOVERFLOW;
      else request.context.append(this.#context, request.offset + this.#coveredBytes, used, flags);
    }
    // The last extent may reach past the request, so this may too.
    this.#coveredBytes += length;
    this.#extentsLeft -= 1;
    return this.#extentsLeft === 0;
  }

  /** Throws ProtocolError where a successful reply lacks the status of a context that was selected. */
  requireAll(slot: Slot): void {
    if (slot.statusContexts.length === this.#contexts.size) return;
    throw new ProtocolError(
      slot.statusContexts.length === 0
        ? 'A reply to a block-status ended without a status'
        : 'A reply to a block-status ended without the status of every metadata context',
    );
  }
}
