/**
 * BlockWriter: the load on the primary, as many writes in flight as its depth allows, each to a random block.
 *
 * Every write carries a sequence number larger than all before it. No two writes of one block are in flight at once,
 * so that the order of the acknowledgements is the order on the disks.
 */

import { type Deferred, deferred } from '../../base/deadline.ts';
import { errnoName } from '../../base/errno.ts';
import { ColobusError } from '../../base/errors.ts';
import { type BlockRequest, type RequestOwner, releaseRequest, takeRequest } from '../../block/block-request.ts';
import type { NbdAddress } from '../../nbd/client/index.ts';
import { NbdConnection } from '../../nbd/client/nbd-connection.ts';
import { BLOCK_BYTES, writeStamp } from './block-stamp.ts';
import type { WriteLog } from './write-log.ts';

export const WRITER_DEPTH = 32;

export class BlockWriter implements RequestOwner, AsyncDisposable {
  /** Writes that have not been acknowledged: the sequence number by block. */
  readonly inFlight: Map<number, number> = new Map<number, number>();
  readonly #connection: NbdConnection;
  readonly #log: WriteLog;
  readonly #blocks: number;
  readonly #buffers: readonly Buffer[];
  readonly #failure = deferred<never>();
  readonly #ended = deferred<void>();
  #lastSequence = 0;
  #lastAcknowledgedBlock = 0;
  #active = 0;
  #expectsLoss = false;

  private constructor(connection: NbdConnection, log: WriteLog) {
    this.#connection = connection;
    this.#log = log;
    this.#blocks = log.content.length;
    this.#buffers = Array.from({ length: WRITER_DEPTH }, () => Buffer.allocUnsafeSlow(BLOCK_BYTES));
    this.#failure.promise.catch(() => {});
  }

  /** Connects to the replicated disk; the writes it acknowledges go into `log`. */
  static async connect(address: NbdAddress, exportName: string, log: WriteLog): Promise<BlockWriter> {
    return new BlockWriter(await NbdConnection.open({ address, exportName }), log);
  }

  /** The largest sequence number used. */
  get lastSequence(): number {
    return this.#lastSequence;
  }

  /** The block of the write that was acknowledged last. */
  get lastAcknowledgedBlock(): number {
    return this.#lastAcknowledgedBlock;
  }

  /** Rejects when a write fails before `expectLoss`. */
  get failure(): Promise<never> {
    return this.#failure.promise;
  }

  /** Resolves when nothing is in flight any more: after the loss of the primary. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  start(): void {
    for (let slot = 0; slot < WRITER_DEPTH; slot++) this.#write(slot);
  }

  /** From now on the primary may vanish; the writes in flight then remain in `inFlight`. */
  expectLoss(): void {
    this.#expectsLoss = true;
  }

  /**
   * Waits until every acknowledgement that the primary has sent so far is in the log: replies come in the order in
   * which they were sent, so a read's reply tells. A prepared primary holds writes, not reads.
   */
  async acknowledgementsArrived(): Promise<void> {
    const reply = deferred<void>();
    const request = takeRequest('read', new ReadReply(reply));
    request.length = BLOCK_BYTES;
    request.buffer = Buffer.allocUnsafe(BLOCK_BYTES);
    this.#submit(request);
    await reply.promise;
  }

  requestDone(request: BlockRequest): void {
    const { errno, tag: slot } = request;
    const block = request.offset / BLOCK_BYTES;
    releaseRequest(request);
    this.#active -= 1;
    if (errno === 0) {
      this.#log.append(block, this.inFlight.get(block) as number);
      this.inFlight.delete(block);
      this.#lastAcknowledgedBlock = block;
      this.#write(slot);
    } else {
      if (!this.#expectsLoss) {
        this.#failure.reject(new ColobusError(`A write of block ${block} failed: ${errnoName(errno)}`, { errno }));
      }
      if (this.#active === 0) this.#ended.resolve();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#expectsLoss = true;
    this.#connection.abort(new ColobusError('The writer has ended'));
    await this.#connection[Symbol.asyncDispose]();
  }

  #write(slot: number): void {
    const block = this.#idleBlock();
    this.#lastSequence += 1;
    const buffer = this.#buffers[slot] as Buffer;
    writeStamp(buffer, 0, block, this.#lastSequence);
    this.inFlight.set(block, this.#lastSequence);
    this.#active += 1;
    const request = takeRequest('write', this);
    request.offset = block * BLOCK_BYTES;
    request.length = BLOCK_BYTES;
    request.buffer = buffer;
    request.tag = slot;
    this.#submit(request);
  }

  #submit(request: BlockRequest): void {
    request.markSubmitted();
    this.#connection.submit(request);
  }

  #idleBlock(): number {
    for (;;) {
      const block = Math.floor(Math.random() * this.#blocks);
      if (!this.inFlight.has(block)) return block;
    }
  }
}

/** Resolves or rejects `reply` when the read has completed. */
class ReadReply implements RequestOwner {
  readonly #reply: Deferred<void>;

  constructor(reply: Deferred<void>) {
    this.#reply = reply;
  }

  requestDone(request: BlockRequest): void {
    const { errno } = request;
    releaseRequest(request);
    if (errno === 0) this.#reply.resolve();
    else this.#reply.reject(new ColobusError(`A read on the primary failed: ${errnoName(errno)}`, { errno }));
  }
}
