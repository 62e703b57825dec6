/**
 * OriginalCopier: keeps what the primary is about to overwrite (rules B1, B3, B5, B8).
 *
 * The before-write notifier of the disk. A write whose chunks all have an entry in the newest generation passes at
 * once. For the others it waits until their content is in the buffer; where the disk answers at once, so does the
 * copier.
 */

import type { BeforeWriteNotifier } from '../../block/before-write-notifier.ts';
import type { BlockNode } from '../../block/block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import { EXTENT_ZERO, ExtentList } from '../../block/extent-list.ts';
import type { ColoBuffer } from './colo-buffer.ts';
import { memoryEntry, NO_ENTRY, spilledEntry, zeroEntry } from './entry.ts';
import type { Generation } from './generation.ts';

/** Chunks that one question for holes covers: 64 MiB of the default granularity. */
const MAX_STATUS_CHUNKS = 16_384;
const MAX_POOLED = 256;

export class OriginalCopier implements BeforeWriteNotifier {
  readonly #buffer: ColoBuffer;
  readonly #disk: BlockNode;
  readonly #pool: OriginalCopy[] = [];

  constructor(buffer: ColoBuffer, disk: BlockNode) {
    this.#buffer = buffer;
    this.#disk = disk;
  }

  beforeWrite(request: BlockRequest): boolean {
    const { newest, granularity } = this.#buffer;
    if (newest.invalid !== null) return true;
    const end = Math.ceil((request.offset + request.length) / granularity);
    const chunk = newest.firstGap(Math.floor(request.offset / granularity), end);
    if (chunk === end) return true;
    const copy = this.#pool.pop() ?? new OriginalCopy(this.#buffer, this);
    return copy.begin(request, chunk, end);
  }

  /** A write that had to wait: its originals are kept, or it must fail. */
  copied(copy: OriginalCopy, request: BlockRequest, errno: number): void {
    this.giveBack(copy);
    if (errno === 0) this.#disk.proceed(request);
    else request.complete(errno);
  }

  giveBack(copy: OriginalCopy): void {
    if (this.#pool.length < MAX_POOLED) this.#pool.push(copy);
  }
}

/** The copying that one write of the primary waits for: run after run of chunks without an entry. */
class OriginalCopy implements RequestOwner {
  readonly #buffer: ColoBuffer;
  readonly #copier: OriginalCopier;
  readonly #zeroChunk: Buffer;
  #request: BlockRequest | null = null;
  /** The next chunk to look at, and the end of the write, in chunks. */
  #chunk = 0;
  #end = 0;
  /** Up to here the disk is known to hold data, not holes. */
  #dataEnd = 0;
  #errno = 0;
  /** The run being read: its generation, and its first slot or its scratch memory when it is spilled. */
  #generation: Generation | null = null;
  #slot = 0;
  #scratch: Buffer | null = null;
  /** Reads and spill writes that have not returned. */
  #outstanding = 0;
  #isAdvancing = false;

  constructor(buffer: ColoBuffer, copier: OriginalCopier) {
    this.#buffer = buffer;
    this.#copier = copier;
    this.#zeroChunk = Buffer.alloc(buffer.granularity);
  }

  /** True where everything was kept at once and the write may go on. */
  begin(request: BlockRequest, chunk: number, end: number): boolean {
    this.#request = request;
    this.#chunk = chunk;
    this.#end = end;
    this.#dataEnd = request.kind === 'write' ? end : 0;
    this.#errno = 0;
    if (!this.#advance()) return false;
    if (this.#errno === 0) {
      this.#request = null;
      this.#copier.giveBack(this);
      return true;
    }
    this.#finish();
    return false;
  }

  requestDone(child: BlockRequest): void {
    this.#outstanding -= 1;
    if (child.kind === 'block-status') this.#learnHoles(child);
    else this.#keep(child);
    releaseRequest(child);
    this.#continue();
  }

  #continue(): void {
    if (this.#isAdvancing || this.#outstanding > 0) return;
    if (this.#advance()) this.#finish();
  }

  #finish(): void {
    const request = this.#request as BlockRequest;
    this.#request = null;
    this.#copier.copied(this, request, this.#errno);
  }

  /** Works until everything is kept (true) or an answer has to be waited for (false). */
  #advance(): boolean {
    this.#isAdvancing = true;
    while (this.#outstanding === 0 && this.#errno === 0 && this.#findRun()) this.#askForRun();
    this.#isAdvancing = false;
    return this.#outstanding === 0;
  }

  /** Moves to the next chunk that has no entry; false where there is none, or nothing is kept any more. */
  #findRun(): boolean {
    const { newest } = this.#buffer;
    if (newest.invalid !== null) return false;
    this.#chunk = newest.firstGap(this.#chunk, this.#end);
    return this.#chunk < this.#end;
  }

  #askForRun(): void {
    const buffer = this.#buffer;
    if (this.#chunk >= this.#dataEnd) {
      this.#ask('block-status', Math.min(this.#end, this.#chunk + MAX_STATUS_CHUNKS));
      return;
    }
    const generation = buffer.newest;
    const most = Math.min(this.#end, this.#dataEnd, this.#chunk + buffer.store.slotsPerSlab);
    let runEnd = generation.gapEnd(this.#chunk, most);
    switch (buffer.roomFor(generation, runEnd - this.#chunk)) {
      case 'none':
        buffer.overflow();
        return;
      case 'memory':
        this.#slot = generation.memory.take(runEnd - this.#chunk);
        this.#scratch = null;
        runEnd = this.#chunk + generation.memory.taken;
        break;
      case 'spill':
        this.#scratch = Buffer.allocUnsafe((runEnd - this.#chunk) * buffer.granularity);
    }
    this.#generation = generation;
    buffer.pin(generation);
    this.#ask('read', runEnd);
  }

  #ask(kind: 'read' | 'block-status', end: number): void {
    const { backing, granularity, store } = this.#buffer;
    const child = takeRequest(kind, this);
    child.offset = this.#chunk * granularity;
    child.length = Math.min(end * granularity, backing.node.lengthBytes) - child.offset;
    if (kind === 'block-status') {
      child.extents = new ExtentList();
    } else {
      child.buffer = this.#scratch ?? store.bytes(this.#slot);
      child.at = this.#scratch === null ? store.at(this.#slot) : 0;
    }
    this.#outstanding += 1;
    backing.submit(child);
  }

  /** Whole chunks of a leading zero extent become originals without data; other chunks are known to need a copy. */
  #learnHoles(child: BlockRequest): void {
    const { granularity, newest } = this.#buffer;
    const flags = child.extents?.flags[0] ?? 0;
    const length = child.extents?.lengths[0] ?? child.length;
    if (child.errno !== 0) {
      this.#dataEnd = this.#end;
      return;
    }
    const extentEnd = Math.min(child.offset + length, child.offset + child.length);
    const isToEnd = extentEnd === this.#buffer.backing.node.lengthBytes;
    const lastWhole = isToEnd ? Math.ceil(extentEnd / granularity) : Math.floor(extentEnd / granularity);
    if ((flags & EXTENT_ZERO) !== 0 && lastWhole > this.#chunk) {
      if (newest.invalid === null) newest.putZeroes(this.#chunk, lastWhole, false);
      this.#chunk = lastWhole;
    } else {
      this.#dataEnd = Math.max(this.#chunk + 1, Math.ceil(extentEnd / granularity));
    }
  }

  /** The content of a run has arrived: makes originals of those chunks that still have no entry. */
  #keep(child: BlockRequest): void {
    const buffer = this.#buffer;
    const taken = this.#generation as Generation;
    const holder = buffer.holderOf(taken);
    const chunks = Math.ceil(child.length / buffer.granularity);
    // Where another generation has become the newest, it needs originals of its own: the loop comes back to them.
    const keeps = child.errno === 0 && buffer.newest === holder && holder.invalid === null;
    for (let i = 0; i < chunks; i++) {
      const chunk = this.#chunk + i;
      const at = child.at + i * buffer.granularity;
      const isZero = child.buffer[at] === 0 && this.#isZeroes(child.buffer, at, buffer.chunkBytes(chunk));
      if (keeps && isZero && holder.find(chunk) === NO_ENTRY) holder.put(chunk, zeroEntry(false));
      if (this.#scratch !== null) {
        if (keeps && !isZero) this.#spill(chunk, this.#scratch, at, holder);
      } else if (keeps && !isZero && holder.find(chunk) === NO_ENTRY) {
        holder.put(chunk, memoryEntry(this.#slot + i, false));
      } else {
        holder.memory.release(this.#slot + i);
      }
    }
    buffer.unpin(taken);
    if (child.errno !== 0) this.#failed(child.errno);
  }

  #isZeroes(buffer: Buffer, at: number, length: number): boolean {
    return this.#zeroChunk.compare(buffer, at, at + length, 0, length) === 0;
  }

  #spill(chunk: number, bytes: Buffer, at: number, generation: Generation): void {
    const { spill } = this.#buffer;
    if (spill === null || generation.spill === null) return;
    const slot = generation.spill.take(1);
    this.#outstanding += 1;
    this.#buffer.pin(generation);
    spill.write(slot, bytes, at, this.#buffer.chunkBytes(chunk), errno => {
      this.#outstanding -= 1;
      const holder = this.#buffer.holderOf(generation);
      const keeps = errno === 0 && this.#buffer.newest === holder && holder.invalid === null;
      if (keeps && holder.find(chunk) === NO_ENTRY) holder.put(chunk, spilledEntry(slot, false));
      else holder.spill?.release(slot);
      this.#buffer.unpin(generation);
      if (errno !== 0) this.#failed(errno);
      this.#continue();
    });
  }

  /** Rule B8: an original that cannot be kept gives the image up, or fails the write. Never neither. */
  #failed(errno: number): void {
    if (this.#buffer.failsWritesOnError) this.#errno ||= errno;
    else this.#buffer.invalidate(`an original could not be kept (errno ${errno})`);
  }
}
