/**
 * Compares two images with many reads in flight. What both know to be zeroes is not read.
 */

import { assert } from '../base/assert.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../block/block-request.ts';
import { allocateAligned } from '../os/aligned-memory.ts';
import { ExtentReader } from './extent-reader.ts';
import { Pipeline, type Start } from './pipeline.ts';
import { commonAlignment, sideError } from './side.ts';

export type ImageComparisonOptions = {
  /** All of it is compared. */
  readonly one: BlockBackend;
  /** At least as long. */
  readonly other: BlockBackend;
  /** Pieces in flight, each a read of either side. */
  readonly requests: number;
  /** Bytes of a read: a multiple of both sides' alignment that both take. */
  readonly requestBytes: number;
  /** Told how far the comparison is; `done` does not fall. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
};

/** The first offset at which the images differ, or null. Throws a SideError where a read fails. */
export async function compareImages(options: ImageComparisonOptions): Promise<number | null> {
  const comparison = new ImageComparison(options);
  await comparison.pipeline.run();
  return comparison.firstDifference;
}

class ImageComparison {
  readonly options: ImageComparisonOptions;
  readonly pipeline: Pipeline;
  readonly idle: Piece[] = [];
  firstDifference: number | null = null;
  readonly #one: ExtentReader;
  readonly #other: ExtentReader;
  readonly #totalBytes: number;
  #doneBytes = 0;

  constructor(options: ImageComparisonOptions) {
    const { one, other, requests } = options;
    const alignment = commonAlignment(one, other);
    this.options = options;
    this.#totalBytes = one.node.lengthBytes;
    assert(other.node.lengthBytes >= this.#totalBytes, 'The other image is no shorter');
    assert(options.requestBytes % alignment === 0, 'Requests are aligned');
    this.pipeline = new Pipeline(requests, () => this.#startNext());
    this.#one = new ExtentReader(one, this.#totalBytes, alignment, () => this.pipeline.wake());
    this.#other = new ExtentReader(other, this.#totalBytes, alignment, () => this.pipeline.wake());
  }

  /** A piece of `length` bytes was compared, and differs from `difference` on unless that is null. */
  compared(length: number, difference: number | null): void {
    if (difference !== null) this.firstDifference = Math.min(difference, this.firstDifference ?? difference);
    this.#doneBytes += length;
    this.options.onProgress?.(this.#doneBytes, this.#totalBytes);
  }

  /** Pieces start in order: when one differs, all before it have started, and none after it has to. */
  #startNext(): Start {
    if (this.firstDifference !== null) return 'end';
    for (;;) {
      const one = this.#one.next();
      const other = this.#other.next();
      if (one === null || other === null) return this.#one.isAtEnd ? 'end' : 'later';
      const isZero = one.isZero && other.isZero;
      const common = Math.min(one.length, other.length);
      const length = isZero ? common : Math.min(common, this.options.requestBytes);
      this.#one.take(length);
      this.#other.take(length);
      if (!isZero) {
        const piece = this.idle.pop() ?? new Piece(this);
        piece.start(one.offset, length);
        return 'started';
      }
      this.compared(length, null);
    }
  }
}

/** A range of both images; used again for the next one when it is done. */
class Piece implements RequestOwner {
  readonly #comparison: ImageComparison;
  readonly #buffers: readonly [one: Buffer, other: Buffer];
  #offset = 0;
  #length = 0;
  #reading = 0;

  constructor(comparison: ImageComparison) {
    const { requestBytes } = comparison.options;
    this.#comparison = comparison;
    this.#buffers = [allocateAligned(requestBytes), allocateAligned(requestBytes)];
  }

  start(offset: number, length: number): void {
    const { one, other } = this.#comparison.options;
    this.#offset = offset;
    this.#length = length;
    this.#reading = 2;
    this.#read(one, 0);
    this.#read(other, 1);
  }

  requestDone(request: BlockRequest): void {
    const { one, other } = this.#comparison.options;
    if (request.errno !== 0) this.#comparison.pipeline.fail(sideError(request.tag === 0 ? one : other, request));
    releaseRequest(request);
    this.#reading -= 1;
    if (this.#reading > 0) return;
    if (!this.#comparison.pipeline.isFailed) this.#comparison.compared(this.#length, this.#difference());
    this.#comparison.idle.push(this);
    this.#comparison.pipeline.done();
  }

  #read(side: BlockBackend, index: 0 | 1): void {
    const request = takeRequest('read', this);
    request.offset = this.#offset;
    request.length = this.#length;
    request.buffer = this.#buffers[index];
    request.tag = index;
    side.submit(request);
  }

  #difference(): number | null {
    const [one, other] = this.#buffers;
    if (one.compare(other, 0, this.#length, 0, this.#length) === 0) return null;
    let index = 0;
    while (one[index] === other[index]) index += 1;
    return this.#offset + index;
  }
}
