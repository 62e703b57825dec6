/**
 * StandbyRead: one read of the standby's view (rules B4, B6).
 *
 * Chunks with an entry are copied at once; runs without one are read from the disk, straight into the reader's memory,
 * and looked at again when they arrive: a chunk that got an original meanwhile is answered from it. The read holds the
 * generation it began in, so that a checkpoint in between does not mix two images.
 */

import { EIO } from '../../base/errno.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import type { ColoBuffer } from './colo-buffer.ts';
import { isSpilled, NO_ENTRY, slotOf } from './entry.ts';
import type { Generation } from './generation.ts';

const MAX_POOLED = 256;
const pool: StandbyRead[] = [];

/** Reads the view of the running generation into `request`'s memory, and completes it. */
export function readView(buffer: ColoBuffer, request: BlockRequest): void {
  const read = pool.pop() ?? new StandbyRead();
  read.begin(buffer, request);
}

class StandbyRead implements RequestOwner {
  #buffer: ColoBuffer | null = null;
  #request: BlockRequest | null = null;
  #generation: Generation | null = null;
  #outstanding = 0;
  #errno = 0;

  begin(buffer: ColoBuffer, request: BlockRequest): void {
    this.#buffer = buffer;
    this.#request = request;
    this.#generation = buffer.running;
    this.#errno = 0;
    this.#outstanding = 1;
    buffer.pin(buffer.running);
    this.#gather(request.offset, request.length, true);
    this.#returned();
  }

  requestDone(child: BlockRequest): void {
    if (child.errno !== 0) this.#errno ||= child.errno;
    else this.#gather(child.offset, child.length, false);
    releaseRequest(child);
    this.#returned();
  }

  /** Fills the range from the entries there are; asks the disk for the rest where `asksDisk`. */
  #gather(offset: number, length: number, asksDisk: boolean): void {
    const buffer = this.#buffer as ColoBuffer;
    const generation = this.#generation as Generation;
    const end = offset + length;
    let missingFrom = -1;
    for (let at = offset; at < end; ) {
      const chunk = Math.floor(at / buffer.granularity);
      const next = Math.min(end, (chunk + 1) * buffer.granularity);
      const entry = buffer.view(generation, chunk);
      if (entry === NO_ENTRY) {
        if (missingFrom < 0) missingFrom = at;
      } else {
        if (asksDisk && missingFrom >= 0) this.#askDisk(missingFrom, at);
        missingFrom = -1;
        this.#copyEntry(entry, at - chunk * buffer.granularity, at, next - at);
      }
      at = next;
    }
    if (asksDisk && missingFrom >= 0) this.#askDisk(missingFrom, end);
  }

  #copyEntry(entry: number, skip: number, offset: number, length: number): void {
    const buffer = this.#buffer as ColoBuffer;
    const request = this.#request as BlockRequest;
    const at = request.at + offset - request.offset;
    if (!isSpilled(entry)) {
      buffer.copyOut(entry, skip, request.buffer, at, length);
      return;
    }
    this.#outstanding += 1;
    buffer.spill?.read(slotOf(entry), skip, request.buffer, at, length, errno => {
      this.#errno ||= errno;
      this.#returned();
    });
  }

  #askDisk(from: number, to: number): void {
    const request = this.#request as BlockRequest;
    const child = takeRequest('read', this);
    child.offset = from;
    child.length = to - from;
    child.buffer = request.buffer;
    child.at = request.at + from - request.offset;
    child.slab = request.slab;
    this.#outstanding += 1;
    (this.#buffer as ColoBuffer).backing.submit(child);
  }

  #returned(): void {
    this.#outstanding -= 1;
    if (this.#outstanding > 0) return;
    const request = this.#request as BlockRequest;
    const generation = this.#generation as Generation;
    const errno = generation.invalid === null ? this.#errno : EIO;
    (this.#buffer as ColoBuffer).unpin(generation);
    this.#buffer = null;
    this.#request = null;
    this.#generation = null;
    if (pool.length < MAX_POOLED) pool.push(this);
    request.complete(errno);
  }
}
