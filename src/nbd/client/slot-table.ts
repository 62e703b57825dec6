/**
 * SlotTable: the requests that are with the server, found by cookie without a map.
 *
 * A cookie is the generation of a slot (high half) and the slot's index (low half). The generation changes with each
 * use, so that a reply to an earlier request is never taken for one to the present.
 */

import { assert } from '../../base/assert.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { RangeCoverage } from './range-coverage.ts';

/** One request on its way, and how far its reply has come. */
export class Slot {
  readonly index: number;
  generation = 0;
  request: BlockRequest | null = null;
  /** The batch that its command went into. */
  batch = 0;
  /** When the server must have answered, on the connection's clock. */
  deadlineMs = 0;
  /** The first error that the server reported. */
  errno = 0;
  /** Which bytes of a read have come. */
  readonly coverage: RangeCoverage = new RangeCoverage();
  /** The metadata contexts whose status has come. */
  readonly statusContexts: number[] = [];

  constructor(index: number) {
    this.index = index;
  }
}

export class SlotTable {
  readonly slots: readonly Slot[];
  readonly #free: Slot[];
  /** Commands of batches up to this one were given to the socket. */
  sentBatch = 0;

  constructor(size: number) {
    this.slots = Array.from({ length: size }, (_, index) => new Slot(index));
    this.#free = [...this.slots].reverse();
  }

  get inUse(): number {
    return this.slots.length - this.#free.length;
  }

  get isFull(): boolean {
    return this.#free.length === 0;
  }

  /** Puts `request` into a free slot; there must be one. */
  take(request: BlockRequest, deadlineMs: number): Slot {
    const slot = this.#free.pop();
    assert(slot !== undefined, 'A request takes a slot only where one is free');
    slot.request = request;
    slot.deadlineMs = deadlineMs;
    slot.errno = 0;
    if (slot.statusContexts.length > 0) slot.statusContexts.length = 0;
    slot.coverage.reset();
    return slot;
  }

  /** The slot in use that a cookie names, or null; a command that was not sent yet has no answer either. */
  find(cookieHigh: number, cookieLow: number): Slot | null {
    const slot = this.slots[cookieLow];
    if (slot === undefined || slot.request === null) return null;
    return slot.generation === cookieHigh && slot.batch <= this.sentBatch ? slot : null;
  }

  /** Frees `slot` and returns its request. */
  release(slot: Slot): BlockRequest {
    const { request } = slot;
    assert(request !== null, 'A slot is released once');
    slot.request = null;
    slot.generation = (slot.generation + 1) >>> 0;
    this.#free.push(slot);
    return request;
  }
}
