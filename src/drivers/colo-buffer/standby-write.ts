/**
 * StandbyWrite: one write, write-zeroes or discard of the standby, which goes to the buffer alone (rules B2, B3, B6).
 *
 * Its first and last chunk may be covered in part; those are filled from the view first. Then all its chunks become
 * own entries in one step. Writes that share a chunk follow one another (the node's overlap tracker). One whose
 * generation was dropped meanwhile completes without effect.
 */

import { EIO } from '../../base/errno.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import type { ColoBuffer } from './colo-buffer.ts';
import { isSpilled, isZero, memoryEntry, NO_ENTRY, slotOf, spilledEntry, zeroEntry } from './entry.ts';
import type { Generation } from './generation.ts';
import { readView } from './standby-read.ts';

/** Runs of whole chunks from this length on become one zero extent instead of single entries. */
const MIN_EXTENT_CHUNKS = 16;

export class StandbyWrite implements RequestOwner {
  /** The range in whole chunks: what the overlap tracker locks. */
  readonly offset: number;
  readonly length: number;
  readonly request: BlockRequest;
  readonly #buffer: ColoBuffer;
  readonly #generation: Generation;
  readonly #done: (write: StandbyWrite, errno: number) => void;
  /** The view of the first and the last chunk, where the write covers them in part. */
  readonly #fills = new Map<number, Buffer>();
  #outstanding = 0;
  #errno = 0;

  /** `done` is called once; it completes the request. */
  constructor(buffer: ColoBuffer, request: BlockRequest, done: (write: StandbyWrite, errno: number) => void) {
    const { granularity } = buffer;
    this.#buffer = buffer;
    this.request = request;
    this.#generation = buffer.running;
    this.#done = done;
    this.offset = Math.floor(request.offset / granularity) * granularity;
    this.length = Math.ceil((request.offset + request.length) / granularity) * granularity - this.offset;
    buffer.pin(this.#generation);
  }

  start(): void {
    this.#outstanding = 1;
    const { granularity } = this.#buffer;
    const first = this.offset / granularity;
    const last = first + this.length / granularity - 1;
    if (this.request.offset > this.offset) this.#fill(first);
    const end = this.request.offset + this.request.length;
    const isTail = end === this.#buffer.backing.node.lengthBytes || end % granularity === 0;
    if (!isTail && !this.#fills.has(last)) this.#fill(last);
    this.#returned();
  }

  requestDone(fill: BlockRequest): void {
    this.#errno ||= fill.errno;
    releaseRequest(fill);
    this.#returned();
  }

  #fill(chunk: number): void {
    const bytes = Buffer.allocUnsafe(this.#buffer.granularity);
    this.#fills.set(chunk, bytes);
    const fill = takeRequest('read', this);
    fill.offset = chunk * this.#buffer.granularity;
    fill.length = this.#buffer.chunkBytes(chunk);
    fill.buffer = bytes;
    fill.markSubmitted();
    this.#outstanding += 1;
    readView(this.#buffer, fill);
  }

  /** Counts fills that returned; after the last one, applies the write and counts what it stores. */
  #returned(): void {
    this.#outstanding -= 1;
    if (this.#outstanding > 0) return;
    if (this.#errno === 0 && !this.#generation.dropped && this.#generation.invalid === null) this.#apply();
    else this.#finish();
  }

  #finish(): void {
    const isVoid = this.#generation.dropped;
    const errno = this.#generation.invalid !== null && !isVoid ? EIO : this.#errno;
    this.#buffer.unpin(this.#generation);
    this.#done(this, isVoid ? 0 : errno);
  }

  #apply(): void {
    const { granularity } = this.#buffer;
    const end = this.offset + this.length;
    const isWrite = this.request.kind === 'write';
    this.#outstanding = 1;
    for (let offset = this.offset; offset < end && this.#generation.invalid === null; ) {
      const chunk = offset / granularity;
      const wholeEnd = isWrite || this.#fills.has(chunk) ? chunk : this.#wholeChunksEnd(chunk);
      if (wholeEnd - chunk >= MIN_EXTENT_CHUNKS) this.#generation.putZeroes(chunk, wholeEnd, true);
      else if (wholeEnd > chunk) for (let c = chunk; c < wholeEnd; c++) this.#generation.put(c, zeroEntry(true));
      else this.#putData(chunk);
      offset = Math.max(wholeEnd, chunk + 1) * granularity;
    }
    this.#stored(0);
  }

  /** The end of the run of chunks from `chunk` on that a discard or write-zeroes covers whole. */
  #wholeChunksEnd(chunk: number): number {
    const end = (this.offset + this.length) / this.#buffer.granularity;
    return end - 1 > chunk && this.#fills.has(end - 1) ? end - 1 : end;
  }

  #putData(chunk: number): void {
    const buffer = this.#buffer;
    const { request } = this;
    const start = chunk * buffer.granularity;
    const from = Math.max(request.offset, start);
    const to = Math.min(request.offset + request.length, start + buffer.granularity);
    const fill = this.#fills.get(chunk);
    const at = request.at + from - request.offset;
    if (fill === undefined) {
      this.#putBytes(chunk, request.buffer, at);
    } else {
      if (request.kind === 'write') request.buffer.copy(fill, from - start, at, at + to - from);
      else fill.fill(0, from - start, to - start);
      this.#putBytes(chunk, fill, 0);
    }
  }

  /** Makes the chunk's bytes at `source[at]` its own content, in the slot it has or in a new one. */
  #putBytes(chunk: number, source: Buffer, at: number): void {
    const buffer = this.#buffer;
    const generation = this.#generation;
    const before = generation.find(chunk);
    const hasSlot = before !== NO_ENTRY && !isZero(before);
    if (hasSlot && isSpilled(before)) {
      this.#putSpilled(chunk, slotOf(before), source, at);
      return;
    }
    const room = hasSlot ? 'memory' : buffer.roomFor(generation, 1);
    if (room === 'memory') {
      const slot = hasSlot ? slotOf(before) : generation.memory.take(1);
      source.copy(buffer.store.bytes(slot), buffer.store.at(slot), at, at + buffer.chunkBytes(chunk));
      generation.put(chunk, memoryEntry(slot, true));
    } else if (room === 'spill' && generation.spill !== null) {
      this.#putSpilled(chunk, generation.spill.take(1), source, at);
    } else {
      buffer.overflow();
    }
  }

  #putSpilled(chunk: number, slot: number, source: Buffer, at: number): void {
    this.#outstanding += 1;
    this.#buffer.spill?.write(slot, source, at, this.#buffer.chunkBytes(chunk), errno => {
      const { dropped, invalid } = this.#generation;
      if (errno === 0 && !dropped && invalid === null) this.#generation.put(chunk, spilledEntry(slot, true));
      else if (errno !== 0 && invalid === null)
        this.#buffer.invalidate(`a write could not be spilled (errno ${errno})`);
      this.#stored(errno);
    });
  }

  #stored(errno: number): void {
    this.#errno ||= errno;
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#finish();
  }
}
