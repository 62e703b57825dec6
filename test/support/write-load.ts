/**
 * WriteLoad: a guest that keeps many writes in flight and remembers what became of each.
 *
 * Blocks are written at random, one write to a block at a time, so that the history of a block has an order. A block
 * that is written holds its stamp (stamped-image.ts): what it read from an image says which write that was.
 */

import { systemClock } from '../../src/base/clock.ts';
import { type Deferred, deferred, withDeadline } from '../../src/base/deadline.ts';
import { EIO, ESHUTDOWN, errnoOf } from '../../src/base/errno.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { optionsOf } from './nbd-options.ts';
import { SeededRandom } from './seeded-random.ts';
import { BLOCK_BYTES, stamped } from './stamped-image.ts';

/** Far beyond any deadline of the daemons, so that it is theirs which end a write. */
const CLIENT_TIMEOUT_MS = 60_000;
const WAIT_MS = 20_000;

export type WriteLoadOptions = {
  /** It writes blocks 0 to `blocks` - 1. */
  readonly blocks: number;
  /** 32 unless given. */
  readonly depth?: number;
  readonly seed?: number;
};

/** What became of one write; times are milliseconds of `performance.now()`. */
export type WriteRecord = {
  readonly block: number;
  /** Counts the load's writes from 1. */
  readonly sequence: number;
  readonly submittedMs: number;
  /** Null while it is in flight. */
  completedMs: number | null;
  errno: number;
};

type Waiter = { readonly isMet: () => boolean; readonly met: Deferred<void> };

export class WriteLoad implements AsyncDisposable {
  readonly records: WriteRecord[] = [];
  readonly #client: NbdClient;
  readonly #blocksPerWriter: number;
  readonly #depth: number;
  readonly #random: SeededRandom;
  readonly #waiters = new Set<Waiter>();
  readonly #writers: Promise<void>[];
  #acknowledged = 0;
  #failed = 0;
  #isStopping = false;

  private constructor(client: NbdClient, options: WriteLoadOptions) {
    this.#client = client;
    this.#depth = options.depth ?? 32;
    this.#blocksPerWriter = Math.floor(options.blocks / this.#depth);
    this.#random = new SeededRandom(options.seed ?? 1);
    this.#writers = Array.from({ length: this.#depth }, (_, writer) => this.#write(writer));
  }

  static async start(uri: string, options: WriteLoadOptions): Promise<WriteLoad> {
    const client = await NbdClient.connect({
      ...optionsOf(uri),
      requestTimeoutMs: CLIENT_TIMEOUT_MS,
      flushTimeoutMs: CLIENT_TIMEOUT_MS,
    });
    return new WriteLoad(client, options);
  }

  /** Resolves when `count` more writes have been acknowledged. */
  async acknowledges(count: number): Promise<void> {
    const goal = this.#acknowledged + count;
    await this.#until(() => this.#acknowledged >= goal, `${count} acknowledgements`);
  }

  /** Resolves when `count` more writes have failed. */
  async fails(count: number): Promise<void> {
    const goal = this.#failed + count;
    await this.#until(() => this.#failed >= goal, `${count} failures`);
  }

  /** Resolves when every write has completed that is in flight at the call. */
  async completesInFlight(): Promise<void> {
    const inFlight = this.records.filter(record => record.completedMs === null);
    await this.#until(() => inFlight.every(record => record.completedMs !== null), 'the writes in flight');
  }

  /** Submits no more and waits for those in flight; then the connection must still be good. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await withDeadline(Promise.all(this.#writers), WAIT_MS, systemClock, 'Writes of the load did not complete');
    await this.#client.read(0, BLOCK_BYTES);
    await this.#client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await this.#client.close();
  }

  /** One of the writes in flight: to blocks that are its own, until the load stops. */
  async #write(writer: number): Promise<void> {
    while (!this.#isStopping) {
      const block = writer + this.#depth * this.#random.below(this.#blocksPerWriter);
      const sequence = this.records.length + 1;
      const record: WriteRecord = { block, sequence, submittedMs: performance.now(), completedMs: null, errno: 0 };
      this.records.push(record);
      try {
        await this.#client.write(block * BLOCK_BYTES, stamped(block, sequence));
        this.#acknowledged += 1;
      } catch (error) {
        record.errno = errnoOf(error) || EIO;
        this.#failed += 1;
      }
      record.completedMs = performance.now();
      this.#wake();
      // The daemon or its export is gone; there is nobody to write to.
      if (record.errno === ESHUTDOWN) return;
    }
  }

  async #until(isMet: () => boolean, what: string): Promise<void> {
    if (isMet()) return;
    const waiter: Waiter = { isMet, met: deferred<void>() };
    this.#waiters.add(waiter);
    await withDeadline(waiter.met.promise, WAIT_MS, systemClock, `The load waited in vain for ${what}`);
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.isMet()) continue;
      this.#waiters.delete(waiter);
      waiter.met.resolve();
    }
  }
}
