/**
 * FileTransfer: a read, a write or a writing of zeroes on its way through the thread pool.
 *
 * The kernel may move less than it was asked for; the transfer goes on until all is moved. The object and its callback
 * are made once and used again.
 */

import { read, write } from 'node:fs';
import { assert } from '../../base/assert.ts';
import { EIO, errnoOf } from '../../base/errno.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { readNow, writeNow } from '../../os/file-io.ts';
import type { PoolShare, PoolWork } from '../../os/thread-pool.ts';

/** Zeroes are written in pieces of this many bytes. */
const ZEROES = Buffer.alloc(1024 * 1024);

/** Told when a transfer has ended; it may then be started again. */
export interface TransferOwner {
  transferDone(transfer: FileTransfer, request: BlockRequest, errno: number): void;
}

export class FileTransfer implements PoolWork {
  readonly #fd: number;
  readonly #share: PoolShare;
  readonly #owner: TransferOwner;
  #request: BlockRequest | null = null;
  #movedBytes = 0;

  constructor(fd: number, share: PoolShare, owner: TransferOwner) {
    this.#fd = fd;
    this.#share = share;
    this.#owner = owner;
  }

  start(request: BlockRequest): void {
    assert(this.#request === null, 'A transfer serves one request at a time');
    this.#request = request;
    this.#movedBytes = 0;
    this.#share.enter(this);
  }

  startInPool(): void {
    assert(this.#request !== null, 'A transfer is started with a request');
    this.#move(this.#request);
  }

  #move(request: BlockRequest): void {
    const moved = this.#movedBytes;
    const left = request.length - moved;
    if (request.kind === 'read') {
      read(this.#fd, request.buffer, request.at + moved, left, request.offset + moved, this.#onMoved);
    } else if (request.kind === 'write') {
      write(this.#fd, request.buffer, request.at + moved, left, request.offset + moved, this.#onMoved);
    } else {
      write(this.#fd, ZEROES, 0, Math.min(left, ZEROES.length), request.offset + moved, this.#onMoved);
    }
  }

  readonly #onMoved = (error: Error | null, bytes: number): void => {
    const request = this.#request;
    assert(request !== null, 'The kernel answers a started transfer once');
    if (error === null && bytes > 0) {
      this.#movedBytes += bytes;
      if (this.#movedBytes < request.length) {
        this.#move(request);
        return;
      }
    }
    this.#request = null;
    request.errorAt = request.offset + this.#movedBytes;
    this.#share.leave();
    this.#owner.transferDone(this, request, movedErrno(error, bytes));
  };
}

/** Does a read or write at once, on the event loop, and returns the errno. */
export function transferNow(fd: number, request: BlockRequest): number {
  const { buffer, at, offset, length } = request;
  const move = request.kind === 'read' ? readNow : writeNow;
  let moved = 0;
  while (moved < length) {
    const bytes = move(fd, buffer, at + moved, length - moved, offset + moved);
    if (bytes <= 0) {
      request.errorAt = offset + moved;
      return bytes === 0 ? EIO : -bytes;
    }
    moved += bytes;
  }
  return 0;
}

/** Nothing moved without an error means that somebody made the image shorter than it was when opened. */
function movedErrno(error: Error | null, bytes: number): number {
  if (error !== null) return errnoOf(error);
  return bytes === 0 ? EIO : 0;
}
