/**
 * FileNode: a disk image in a file or on a block device.
 *
 * Requests go to the kernel at once, on the event loop, where that will not wait for a disk:
 *
 *   image in memory     everything up to 1 MiB
 *   on a local disk     reads of what the page cache has, and writes that WriteBehind allows
 *   elsewhere (FUSE …)  reads of what the page cache has, where the file system tells
 *
 * All else, and every sync, goes through this image's share of the thread pool. A request whose data cannot be moved
 * fails with the kernel's errno.
 */

import { fdatasync, ftruncate } from 'node:fs';
import { promisify } from 'node:util';
import type { Clock } from '../../base/clock.ts';
import { deferred } from '../../base/deadline.ts';
import { ENOTSUP, errnoName } from '../../base/errno.ts';
import { messageOf, UsageError } from '../../base/errors.ts';
import { BlockNode, DEFAULT_LIMITS } from '../../block/block-node.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import type { OpenContext } from '../../block/driver.ts';
import { FailureLatch } from '../../block/failure-latch.ts';
import { flushNode } from '../../block/flush-node.ts';
import { isCachedReadRefused, readCached } from '../../os/cached-read.ts';
import { PoolShare } from '../../os/thread-pool.ts';
import { ExtentScan } from './extent-scan.ts';
import { FileTransfer, type TransferOwner, transferNow } from './file-transfer.ts';
import { FlushQueue } from './flush-queue.ts';
import { ImageSpace } from './image-space.ts';
import { closeFile, type OpenImage, openImage, reopenImage } from './open-image.ts';
import type { FileOptions } from './options.ts';
import { WriteBehind } from './write-behind.ts';

/** Even memory takes its time: more than this goes through the pool, so as not to stall the event loop. */
const INLINE_MAX_BYTES = 1024 * 1024;
const MAX_IDLE_TRANSFERS = 256;
const SYNC_DEADLINE_MS = 30_000;
const truncateFile = promisify(ftruncate);

export class FileNode extends BlockNode implements TransferOwner {
  readonly #image: OpenImage;
  readonly #options: FileOptions;
  readonly #clock: Clock;
  readonly #share = new PoolShare();
  /** Requests up to this length are done on the event loop, whatever they are. */
  readonly #inlineMaxBytes: number;
  /** Reads are tried on the page cache first. */
  #triesCache: boolean;
  readonly #writeBehind: WriteBehind | null;
  readonly #latch: FailureLatch;
  readonly #flushes: FlushQueue;
  readonly #space: ImageSpace;
  readonly #idleTransfers: FileTransfer[] = [];
  #inFlight = 0;
  #whenIdle: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  private constructor(image: OpenImage, options: FileOptions, context: OpenContext) {
    super({
      name: context.nodeName,
      driver: 'file',
      lengthBytes: image.lengthBytes,
      readOnly: context.readOnly,
      limits: { ...DEFAULT_LIMITS, fastZeroes: true },
      filename: options.filename,
    });
    this.#image = image;
    this.#options = options;
    this.#clock = context.clock;
    this.#latch = new FailureLatch(errno => {
      const reason = `a sync of image '${options.filename}' failed (${errnoName(errno)}), so writes fail until node '${this.name}' is added anew`;
      context.logger.error({ node: this.name, errno }, `Data may be lost: ${reason}`);
      this.fail(reason);
    });
    this.#inlineMaxBytes = inlineMaxBytes(options, image);
    this.#triesCache = options.aio === 'auto' && image.fileSystem !== 'memory';
    this.#writeBehind = options.aio === 'auto' && image.fileSystem === 'page-cache' ? new WriteBehind() : null;
    this.#flushes = new FlushQueue(
      done => this.#sync(done),
      this.#latch,
      (request, errno) => this.#finish(request, errno),
    );
    this.#space = new ImageSpace(image, this.#share);
  }

  /** Throws UsageError where the image cannot be used; nothing is created or changed then. */
  static async open(options: FileOptions, context: OpenContext): Promise<FileNode> {
    if (options.cache?.direct === true) {
      const { nodeName: node } = context;
      context.logger.warn({ node }, 'cache.direct=on has no effect: the page cache of the host is used');
    }
    const image = await openImage(options, context.readOnly, context.logger);
    return new FileNode(image, options, context);
  }

  protected override perform(request: BlockRequest): void {
    this.#inFlight += 1;
    if (this.#latch.errno !== 0 && (request.changesData || request.kind === 'flush')) {
      this.#finish(request, this.#latch.errno);
      return;
    }
    const inline = request.length <= this.#inlineMaxBytes;
    const isQuick = request.kind === 'write' && this.#writeBehind?.allows(request, this.#clock.nowMs()) === true;
    if (request.changesData) this.#writeBehind?.entered(request);
    switch (request.kind) {
      case 'read':
        if (inline) this.#finish(request, transferNow(this.#image.fd, request));
        else if (this.#triesCache && this.#isCached(request)) this.#finish(request, 0);
        else this.#transfer(request);
        break;
      case 'write':
        if (inline) this.#settle(request, transferNow(this.#image.fd, request));
        else if (isQuick) this.#writeToCache(request);
        else this.#transfer(request);
        break;
      case 'flush':
        if (this.readOnly) this.#finish(request, 0);
        else this.#flushes.add(request);
        break;
      case 'discard':
        this.#space.discard(request, inline, errno => this.#settle(request, errno));
        break;
      case 'write-zeroes':
        this.#space.zero(request, inline, errno => {
          if (errno === ENOTSUP && !request.fastOnly) this.#transfer(request);
          else this.#settle(request, errno);
        });
        break;
      case 'block-status':
        if (inline) this.#finish(request, new ExtentScan(this.#image.fd, request).runNow());
        else new ExtentScan(this.#image.fd, request).runInPool(this.#share, errno => this.#finish(request, errno));
        break;
      case 'cache':
        this.#finish(request, 0);
        break;
    }
  }

  transferDone(transfer: FileTransfer, request: BlockRequest, errno: number): void {
    if (this.#idleTransfers.length < MAX_IDLE_TRANSFERS) this.#idleTransfers.push(transfer);
    this.#settle(request, errno);
  }

  override async resize(lengthBytes: number): Promise<void> {
    if (this.#image.kind !== 'file') throw new UsageError('Cannot grow device files');
    try {
      await truncateFile(this.#image.fd, lengthBytes);
    } catch (cause) {
      throw new UsageError(`Image '${this.filename}' cannot grow to ${lengthBytes} bytes: ${messageOf(cause)}`, {
        cause,
      });
    }
    this.resized(lengthBytes);
  }

  override async setReadOnly(readOnly: boolean): Promise<void> {
    if (readOnly) this.checkNoWriters();
    // A read-only node has nothing to flush.
    if (readOnly) await flushNode(this, 'blockdev-reopen', SYNC_DEADLINE_MS, this.#clock);
    await reopenImage(this.#image, this.#options, readOnly);
    this.readOnlyChanged(readOnly);
  }

  /** Waits for what is in the kernel, then closes the image, which unlocks it. */
  override async [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#inFlight > 0) {
      const idle = deferred<void>();
      this.#whenIdle = idle.resolve;
      await idle.promise;
    }
    await closeFile(this.#image.fd);
  }

  /** True where the page cache had all of it, and the request has its data. */
  #isCached({ buffer, at, length, offset }: BlockRequest): boolean {
    if (length > INLINE_MAX_BYTES) return false;
    const result = readCached(this.#image.fd, buffer, at, length, offset);
    if (isCachedReadRefused(result)) this.#triesCache = false;
    return result === length;
  }

  #writeToCache(request: BlockRequest): void {
    const startMs = this.#clock.nowMs();
    const errno = transferNow(this.#image.fd, request);
    const nowMs = this.#clock.nowMs();
    this.#writeBehind?.measured(nowMs - startMs, nowMs);
    this.#settle(request, errno);
  }

  #transfer(request: BlockRequest): void {
    const transfer = this.#idleTransfers.pop() ?? new FileTransfer(this.#image.fd, this.#share, this);
    transfer.start(request);
  }

  #sync(done: (error: Error | null) => void): void {
    this.#inFlight += 1;
    this.#writeBehind?.syncStarted();
    const synced = (error: Error | null): void => {
      this.#share.leave();
      this.#writeBehind?.syncEnded();
      done(error);
      this.#leave();
    };
    this.#share.enter({ startInPool: () => fdatasync(this.#image.fd, synced) });
  }

  /** Ends a request whose data has been moved, after a sync if it has to be durable. */
  #settle(request: BlockRequest, errno: number): void {
    const wantsSync = this.#writeBehind?.ended(request) === true;
    if (errno === 0 && request.fua) {
      this.#flushes.add(request);
      return;
    }
    // Before the request ends: while a sync runs the image is in use and is not closed.
    if (wantsSync) this.#flushes.syncBehind();
    this.#finish(request, errno);
  }

  #finish(request: BlockRequest, errno: number): void {
    request.complete(errno);
    this.#leave();
  }

  #leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0 && this.#whenIdle !== null) this.#whenIdle();
  }
}

function inlineMaxBytes(options: FileOptions, image: OpenImage): number {
  switch (options.aio) {
    case 'sync':
      return Number.POSITIVE_INFINITY;
    case 'threads':
      return -1;
    case 'auto':
      return image.fileSystem === 'memory' ? INLINE_MAX_BYTES : -1;
  }
}
