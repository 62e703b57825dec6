/**
 * RequestAdapter: fits requests to what the server can do.
 *
 * Nearly all requests pass as they are, one command each. What the server lacks is done with what it has:
 *
 *   FUA            the command, then a flush
 *   write-zeroes   writes of zeroes
 *   discard, cache success without effect; both are advice
 *   block-status   one extent of data
 *   flush          success: without NBD_FLAG_SEND_FLUSH a server's completed writes are stored already
 *
 * A request that is longer than the server takes goes in pieces, one after the other.
 */

import { ENOTSUP, EPERM } from '../../base/errno.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeChildRequest } from '../../block/block-request.ts';
import { MetadataExtents } from './metadata-extents.ts';
import type { RequestTarget } from './request-target.ts';
import { tellsAllocation } from './session-features.ts';

/** Most bytes of one read or write to a server that sets no limit. */
const MAX_TRANSFER_BYTES = 64 * 1024 * 1024;
/** Most bytes of a command without payload: a multiple of every minimum block size that fits into 32 bits. */
const MAX_EFFECT_BYTES = 1024 * 1024 * 1024;
/** The same with extended headers, where 64 bits would do: no answer to a request should take a server hours. */
const MAX_EXTENDED_EFFECT_BYTES = 1024 * MAX_EFFECT_BYTES;

export class RequestAdapter implements RequestOwner {
  /** Most bytes of one read or write command. */
  readonly maxTransferBytes: number;
  readonly #target: RequestTarget;
  readonly #maxEffectBytes: number;
  readonly #tellsAllocation: boolean;
  /** Zeroes to write, as many as were ever needed at once. */
  #zeroes = Buffer.alloc(0);

  constructor(target: RequestTarget) {
    this.#target = target;
    this.maxTransferBytes = Math.min(target.export.maxBlockBytes, MAX_TRANSFER_BYTES);
    this.#maxEffectBytes = target.features.replies === 'extended' ? MAX_EXTENDED_EFFECT_BYTES : MAX_EFFECT_BYTES;
    this.#tellsAllocation = tellsAllocation(target.features);
  }

  /** Serves a submitted request, which lies within the export, and completes it. */
  submit(request: BlockRequest): void {
    const { export: info } = this.#target;
    if (request.changesData && info.readOnly) {
      request.complete(EPERM);
      return;
    }
    switch (request.kind) {
      case 'read':
        this.#pass(request, this.maxTransferBytes);
        return;
      case 'write':
        this.#change(request, this.maxTransferBytes);
        return;
      case 'write-zeroes':
        if (request.fastOnly && !info.canFastZero) request.complete(ENOTSUP);
        else this.#change(request, info.canWriteZeroes ? this.#maxEffectBytes : this.maxTransferBytes);
        return;
      case 'discard':
        if (info.canTrim) this.#pass(request, this.#maxEffectBytes);
        else request.complete(0);
        return;
      case 'cache':
        if (info.canCache) this.#pass(request, this.maxTransferBytes);
        else request.complete(0);
        return;
      case 'flush':
        if (info.canFlush) this.#target.submit(request);
        else request.complete(0);
        return;
      case 'block-status':
        if (this.#tellsAllocation || request.context instanceof MetadataExtents) {
          this.#pass(request, this.#maxEffectBytes);
        } else {
          request.extents?.append(request.length, 0);
          request.complete(0);
        }
        return;
    }
  }

  /** A piece or the flush behind the last piece has completed: the next one, or the end. */
  requestDone(child: BlockRequest): void {
    const request = child.parent as BlockRequest;
    if (child.errno === 0 && child.kind !== 'flush') {
      const end = child.offset + child.length;
      if (end < request.offset + request.length) {
        // Extents may be fewer than asked for; a second command would append behind a gap.
        if (request.kind !== 'block-status') {
          this.#sendPiece(child, end);
          return;
        }
      } else if (request.fua && !child.fua) {
        this.#sendFlush(child);
        return;
      }
    }
    const { errno, errorAt } = child;
    releaseRequest(child);
    request.errorAt = errorAt;
    request.complete(errno);
  }

  #change(request: BlockRequest, maxBytes: number): void {
    const { canFua, canWriteZeroes } = this.#target.export;
    const lacksFua = request.fua && !canFua;
    const lacksZeroes = request.kind === 'write-zeroes' && !canWriteZeroes;
    if (lacksFua || lacksZeroes) this.#inPieces(request, maxBytes);
    else this.#pass(request, maxBytes);
  }

  #pass(request: BlockRequest, maxBytes: number): void {
    if (request.length <= maxBytes) this.#target.submit(request);
    else this.#inPieces(request, maxBytes);
  }

  #inPieces(request: BlockRequest, maxBytes: number): void {
    const { canFua, canWriteZeroes } = this.#target.export;
    const child = takeChildRequest(request, this);
    child.tag = maxBytes;
    child.context = request.context;
    child.fua = request.fua && canFua;
    if (request.kind === 'write-zeroes' && !canWriteZeroes) {
      child.kind = 'write';
      child.buffer = this.#zeroesOf(Math.min(request.length, maxBytes));
      child.at = 0;
      child.fastOnly = false;
    }
    this.#sendPiece(child, request.offset);
  }

  #sendPiece(child: BlockRequest, offset: number): void {
    const request = child.parent as BlockRequest;
    if (request.kind === 'read' || request.kind === 'write') child.at = request.at + (offset - request.offset);
    child.offset = offset;
    child.length = Math.min(child.tag, request.offset + request.length - offset);
    child.markSubmitted();
    this.#target.submit(child);
  }

  #sendFlush(child: BlockRequest): void {
    if (!this.#target.export.canFlush) {
      const request = child.parent as BlockRequest;
      releaseRequest(child);
      request.complete(0);
      return;
    }
    child.kind = 'flush';
    child.offset = 0;
    child.length = 0;
    child.markSubmitted();
    this.#target.submit(child);
  }

  #zeroesOf(bytes: number): Buffer {
    if (this.#zeroes.length < bytes) this.#zeroes = Buffer.alloc(bytes);
    return this.#zeroes;
  }
}
