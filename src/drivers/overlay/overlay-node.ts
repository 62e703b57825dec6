/**
 * OverlayNode: plain copy-on-write above another node, whose content stays as it is.
 *
 * The disk is in chunks. A chunk that was written comes from the storage, every other from the backing. A write that
 * changes part of a chunk for the first time copies the rest of it from the backing; a chunk counts as written only
 * when all of that is in the storage, so that a failed write leaves the old content in view. Writes to one chunk go
 * one after the other.
 */

import { SparseBitmap } from '../../base/sparse-bitmap.ts';
import { type BlockEdge, READ_STABLE } from '../../block/block-edge.ts';
import { BlockNode } from '../../block/block-node.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import type { Driver, OpenContext } from '../../block/driver.ts';
import type { ExtentList } from '../../block/extent-list.ts';
import { OverlapTracker } from '../../block/overlap-tracker.ts';
import { CHUNK_BYTES, chunkAt, lastChunk } from './chunks.ts';
import { type OverlayOptions, overlayOptions } from './options.ts';
import { OverlayRead } from './overlay-read.ts';
import { attachStorage } from './overlay-storage.ts';
import { OverlayWrite } from './overlay-write.ts';

/** How deep the data lie that were written to the overlay, and all others. */
const DEPTH_STORAGE = 1;
const DEPTH_BACKING = 2;

/** A stretch of chunks that come from the same place. */
export type ChunkRun = { readonly edge: BlockEdge; readonly length: number };

export class OverlayNode extends BlockNode implements RequestOwner {
  readonly backing: BlockEdge;
  readonly storage: BlockEdge;
  /** Writes in flight, as ranges of whole chunks. */
  readonly writes: OverlapTracker<OverlayWrite> = new OverlapTracker();
  readonly #written = new SparseBitmap();

  private constructor(backing: BlockEdge, storage: BlockEdge, context: OpenContext) {
    const { limits } = backing.node;
    super({
      name: context.nodeName,
      driver: 'overlay',
      lengthBytes: backing.node.lengthBytes,
      readOnly: context.readOnly,
      limits: { ...limits, fastZeroes: storage.node.limits.fastZeroes },
      children: [backing, storage],
    });
    this.backing = backing;
    this.storage = storage;
  }

  static async open(options: OverlayOptions, context: OpenContext): Promise<OverlayNode> {
    const { backing: reference } = options;
    const readOnlyReference = typeof reference === 'string' ? reference : { 'read-only': true, ...reference };
    const backing = await context.attach('backing', readOnlyReference, READ_STABLE);
    const storage = await attachStorage(options.storage, backing.node.lengthBytes, context);
    return new OverlayNode(backing, storage, context);
  }

  protected override perform(request: BlockRequest): void {
    switch (request.kind) {
      case 'read':
        new OverlayRead(this, request).start();
        break;
      case 'write':
      case 'write-zeroes':
      case 'discard':
        new OverlayWrite(this, request).start();
        break;
      case 'flush':
        this.#passOn(request, this.storage, 0);
        break;
      case 'block-status': {
        // One run's extents are an answer; who asked asks again for the rest.
        const run = this.runAt(request.offset, request.length);
        this.#passOn(request, run.edge, run.length);
        break;
      }
      case 'cache':
        request.complete(0);
        break;
    }
  }

  requestDone(child: BlockRequest): void {
    const { errno, parent } = child;
    releaseRequest(child);
    parent?.complete(errno);
  }

  isWritten(chunk: number): boolean {
    return this.#written.has(chunk);
  }

  /** From now on the chunks that `request` touches come from the storage. */
  markWritten(request: BlockRequest): void {
    const last = lastChunk(request);
    for (let chunk = chunkAt(request.offset); chunk <= last; chunk++) this.#written.add(chunk);
  }

  /** Where the bytes from `offset` on come from, and how many of the next `length` are alike in that. */
  runAt(offset: number, length: number): ChunkRun {
    const end = offset + length;
    let chunk = chunkAt(offset);
    const written = this.#written.has(chunk);
    const edge = written ? this.storage : this.backing;
    if (this.#written.count === 0) return { edge, length };
    do chunk += 1;
    while (chunk * CHUNK_BYTES < end && this.#written.has(chunk) === written);
    return { edge, length: Math.min(chunk * CHUNK_BYTES, end) - offset };
  }

  override describeDepth(offset: number, length: number, extents: ExtentList, maxExtents: number): void {
    for (let done = 0; done < length && extents.lengths.length < maxExtents; ) {
      const run = this.runAt(offset + done, length - done);
      extents.append(run.length, run.edge === this.storage ? DEPTH_STORAGE : DEPTH_BACKING);
      done += run.length;
    }
  }

  #passOn(request: BlockRequest, edge: BlockEdge, length: number): void {
    const child = takeChildRequest(request, this);
    child.length = length;
    edge.submit(child);
  }
}

export const overlayDriver: Driver<OverlayOptions> = {
  name: 'overlay',
  summary: 'Plain copy-on-write above another node, for test boots',
  options: overlayOptions,
  open: OverlayNode.open,
};
