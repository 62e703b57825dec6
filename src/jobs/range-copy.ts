/**
 * RangeCopy: a range on its way from one image to another.
 *
 *   probe: block-status ─┬─ zeroes ───────────────────────────────────────────────────────┐
 *                        └─ data ─┐                                                       │
 *   data: ────────────────────────┴─► read ──► runs in what was read ─┬─ data ──► write   │
 *                                                                     └─ zeroes ┐         │
 *   zeroes: ────────────────────────────────────────────────────────────────────┴─────────┴─► write-zeroes, which may
 *                                                                                             leave a hole
 *
 * Zeroes are not sent, and on a target that reads as zeroes already nothing is written for them. Zeroes within data are
 * found by grains of 64 KiB. The copy counts as one piece of work of both roots. It is used again when it is done.
 */

import { endOfRun, isZeroGrain } from '../base/zero-runs.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../block/block-request.ts';
import { EXTENT_ZERO, ExtentList } from '../block/extent-list.ts';
import { allocateAligned } from '../os/aligned-memory.ts';
import { type SideError, sideError } from './side.ts';

export type CopySides = {
  readonly source: BlockBackend;
  readonly target: BlockBackend;
  /** Most bytes of a read: a multiple of both sides' alignment that both take. */
  readonly requestBytes: number;
  /** The target reads as zeroes where nothing was written. */
  readonly targetIsZero: boolean;
  /** What the borders of a shortened range are multiples of; a power of two that requestBytes is a multiple of. */
  readonly grainBytes: number;
};

/** What is known of a range that is to be copied; `unknown` is asked for. */
export type RangeContent = 'data' | 'zeroes' | 'unknown';

export interface RangeCopyOwner {
  /** `copy` is about to copy only its first bytes, up to `offset + length`; the other `restBytes` are not copied. */
  rangeShortened(copy: RangeCopy, restBytes: number): void;
  /** `copy` has come to its end, well or badly. */
  rangeDone(copy: RangeCopy): void;
}

export class RangeCopy implements RequestOwner {
  offset = 0;
  length = 0;
  /** Bytes that were written as data. */
  dataBytes = 0;
  /** What went wrong; null where nothing did. */
  error: SideError | null = null;
  /** What failed, where something did. */
  failedOperation: 'read' | 'write' = 'read';
  /** What is known of the range. */
  content: RangeContent = 'data';
  /** Where data ends, of which the range is the first part, as far as the copy has found out. */
  dataEnd = 0;
  readonly #sides: CopySides;
  readonly #owner: RangeCopyOwner;
  /** Memory for what is read, from the first read on. */
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes of the range that are on the target. */
  #written = 0;
  /** A request to the target is under way, behind which none to the source comes. */
  #isWriting = false;
  /** It counts as work of the source. */
  #keepsSource = false;

  constructor(sides: CopySides, owner: RangeCopyOwner) {
    this.#sides = sides;
    this.#owner = owner;
  }

  /** Begins to copy a range, which as data has `requestBytes` at most. */
  start(offset: number, length: number, content: RangeContent): void {
    const { source, target } = this.#sides;
    this.offset = offset;
    this.length = length;
    this.content = content;
    this.dataEnd = 0;
    this.dataBytes = 0;
    this.error = null;
    this.#written = 0;
    this.#isWriting = false;
    this.#keepsSource = true;
    source.beginWork();
    target.beginWork();
    if (content === 'unknown') this.#probe();
    else if (content === 'zeroes') this.#copyZeroes();
    else this.#read();
  }

  /** The copy is given up: while it waits for its target it is no work of the source any more. */
  leaveSource(): void {
    if (!this.#isWriting || !this.#keepsSource) return;
    this.#keepsSource = false;
    this.#sides.source.endWork();
  }

  requestDone(request: BlockRequest): void {
    const { source, target } = this.#sides;
    const { kind, length, errno, extents } = request;
    if (kind === 'block-status') {
      releaseRequest(request);
      this.#probed(errno === 0 ? extents : null);
      return;
    }
    if (errno !== 0) {
      this.failedOperation = kind === 'read' ? 'read' : 'write';
      this.error = sideError(kind === 'read' ? source : target, request);
      releaseRequest(request);
      this.#end();
      return;
    }
    releaseRequest(request);
    if (kind !== 'read') {
      this.#written += length;
      if (kind === 'write') this.dataBytes += length;
    }
    this.#writeNext();
  }

  #probe(): void {
    const request = takeRequest('block-status', this);
    request.offset = this.offset;
    request.length = this.length;
    request.extents = new ExtentList();
    this.#sides.source.submitInWork(request);
  }

  /** What does not tell is data; reading it shows whether it can be had. */
  #probed(extents: ExtentList | null): void {
    const { grainBytes, requestBytes } = this.#sides;
    const known = extents?.lengths[0] ?? 0;
    const isZero = ((extents?.flags[0] ?? 0) & EXTENT_ZERO) !== 0;
    const wholeGrains = known - (known % grainBytes);
    const zeroes = !isZero ? 0 : known >= this.length ? this.length : wholeGrains;
    if (zeroes > 0) {
      this.#shorten(zeroes);
      this.#copyZeroes();
    } else {
      this.dataEnd = isZero ? 0 : this.offset + known;
      this.#shorten(Math.min(this.length, requestBytes));
      this.#read();
    }
  }

  #shorten(length: number): void {
    const rest = this.length - length;
    if (rest === 0) return;
    this.length = length;
    this.#owner.rangeShortened(this, rest);
  }

  #copyZeroes(): void {
    if (this.#sides.targetIsZero) this.#end();
    else this.#submit('write-zeroes', this.length);
  }

  #read(): void {
    if (this.#buffer.length < this.length) this.#buffer = allocateAligned(this.length);
    this.#submit('read', this.length);
  }

  /** Writes the next run of what was read, or ends. */
  #writeNext(): void {
    const end = this.length;
    while (this.#written < end) {
      const at = this.#written;
      const to = endOfRun(this.#buffer, at, end, this.offset + at);
      if (!isZeroGrain(this.#buffer, at, end, this.offset + at)) {
        this.#submit('write', to - at);
        return;
      }
      if (!this.#sides.targetIsZero) {
        this.#submit('write-zeroes', to - at);
        return;
      }
      this.#written = to;
    }
    this.#end();
  }

  #submit(kind: 'read' | 'write' | 'write-zeroes', length: number): void {
    const request = takeRequest(kind, this);
    request.offset = this.offset + this.#written;
    request.length = length;
    request.mayUnmap = kind === 'write-zeroes';
    if (kind !== 'write-zeroes') {
      request.buffer = this.#buffer;
      request.at = this.#written;
    }
    this.#isWriting = kind !== 'read';
    (kind === 'read' ? this.#sides.source : this.#sides.target).submitInWork(request);
  }

  #end(): void {
    if (this.#keepsSource) this.#sides.source.endWork();
    this.#sides.target.endWork();
    this.#owner.rangeDone(this);
  }
}
