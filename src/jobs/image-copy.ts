/**
 * ImageCopy: copies one image, which nobody writes to, to another with many requests in flight.
 *
 * An ExtentReader tells runs of data and of zeroes; a RangeCopy brings a piece of one over. What the source does not
 * hold as data is not read.
 */

import { assert } from '../base/assert.ts';
import type { BlockBackend } from '../block/block-backend.ts';
import { ExtentReader } from './extent-reader.ts';
import { Pipeline, type Start } from './pipeline.ts';
import { type CopySides, RangeCopy, type RangeCopyOwner } from './range-copy.ts';
import { commonAlignment, flushSide } from './side.ts';

/** Zeroes go in pieces of this size, so that none takes a server long that has to write them. */
const ZEROES_BYTES = 64 * 1024 * 1024;

export type ImageCopyOptions = {
  readonly source: BlockBackend;
  /** At least as long as the source; what it has behind the source's length is left alone. */
  readonly target: BlockBackend;
  /** Requests in flight. */
  readonly requests: number;
  /** Bytes of a read or write: a multiple of both sides' alignment that both take. */
  readonly requestBytes: number;
  /** The target reads as zeroes. */
  readonly targetIsZero: boolean;
  /** Told how far the copy is; `done` does not fall. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
};

export type ImageCopyResult = {
  /** Bytes that were written as data. */
  readonly dataBytes: number;
  readonly totalBytes: number;
};

/**
 * Copies all of the source and flushes the target. Throws a SideError where a request of either side fails; the target
 * is then copied in part, and nothing more is written to it.
 */
export async function copyImage(options: ImageCopyOptions): Promise<ImageCopyResult> {
  const copy = new ImageCopy(options);
  await copy.run();
  await flushSide(options.target);
  return { dataBytes: copy.dataBytes, totalBytes: options.source.node.lengthBytes };
}

class ImageCopy implements RangeCopyOwner {
  dataBytes = 0;
  readonly #options: ImageCopyOptions;
  readonly #sides: CopySides;
  readonly #pipeline: Pipeline;
  /** Copies that are not under way. */
  readonly #idle: RangeCopy[] = [];
  readonly #extents: ExtentReader;
  readonly #totalBytes: number;
  #doneBytes = 0;

  constructor(options: ImageCopyOptions) {
    const { source, target, requests } = options;
    const alignment = commonAlignment(source, target);
    this.#options = options;
    this.#sides = { ...options, grainBytes: alignment };
    this.#totalBytes = source.node.lengthBytes;
    assert(target.node.lengthBytes >= this.#totalBytes, 'The source fits into the target');
    assert(options.requestBytes % alignment === 0, 'Requests are aligned');
    this.#pipeline = new Pipeline(requests, () => this.#startNext());
    this.#extents = new ExtentReader(source, this.#totalBytes, alignment, () => this.#pipeline.wake());
  }

  async run(): Promise<void> {
    await this.#pipeline.run();
  }

  rangeShortened(): void {}

  rangeDone(copy: RangeCopy): void {
    if (copy.error !== null) this.#pipeline.fail(copy.error);
    else this.#copied(copy.length);
    this.dataBytes += copy.dataBytes;
    this.#idle.push(copy);
    this.#pipeline.done();
  }

  #copied(length: number): void {
    this.#doneBytes += length;
    this.#options.onProgress?.(this.#doneBytes, this.#totalBytes);
  }

  #startNext(): Start {
    const extents = this.#extents;
    for (let run = extents.next(); run !== null; run = extents.next()) {
      if (run.isZero && this.#options.targetIsZero) {
        extents.take(run.length);
        this.#copied(run.length);
        continue;
      }
      const length = Math.min(run.length, run.isZero ? ZEROES_BYTES : this.#options.requestBytes);
      extents.take(length);
      const copy = this.#idle.pop() ?? new RangeCopy(this.#sides, this);
      copy.start(run.offset, length, run.isZero ? 'zeroes' : 'data');
      return 'started';
    }
    return extents.isAtEnd ? 'end' : 'later';
  }
}
