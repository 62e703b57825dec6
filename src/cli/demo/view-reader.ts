/**
 * ViewReader: the standby's user, who reads its disk over and over and compares it with the last checkpoint.
 *
 * A read that overlaps the doing of a checkpoint may return each block as either checkpoint has it; any other read
 * must return the present one.
 */

import type { NbdAddress } from '../../nbd/client/index.ts';
import { NbdClient } from '../../nbd/client/index.ts';
import { BLOCK_BYTES, readStamp } from './block-stamp.ts';

const BLOCKS_PER_READ = 16;
const DEPTH = 2;

export class ViewReader implements AsyncDisposable {
  readonly #client: NbdClient;
  readonly #blocks: number;
  /** What the view may hold now: the sequence number of each block in one checkpoint or in two. */
  #possible: readonly Float64Array[];
  /** The same for each read on its way, since it was sent. */
  readonly #reads = new Set<Float64Array[]>();
  #nextBlock = 0;
  #checked = 0;
  #mismatches = 0;
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();

  private constructor(client: NbdClient, content: Float64Array) {
    this.#client = client;
    this.#blocks = content.length;
    this.#possible = [content];
  }

  /** Connects to the view, which must hold `content` until the first checkpoint. */
  static async connect(address: NbdAddress, exportName: string, content: Float64Array): Promise<ViewReader> {
    return new ViewReader(await NbdClient.connect({ address, exportName }), content.slice());
  }

  /** Blocks that were read and compared. */
  get checked(): number {
    return this.#checked;
  }

  /** Blocks that were not as the checkpoint has them. */
  get mismatches(): number {
    return this.#mismatches;
  }

  /** Reads from now on; resolves after `stop`, rejects where a read fails. */
  async run(): Promise<void> {
    this.#running = Promise.all(Array.from({ length: DEPTH }, () => this.#readOn()));
    await this.#running;
  }

  /** Ends the reading; resolves when the reads on their way have returned and are checked. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** From now on a read may return `content`, that of the next checkpoint, as well. */
  mayBecome(content: Float64Array): void {
    this.#possible = [...this.#possible, content];
    for (const possible of this.#reads) possible.push(content);
  }

  /** A read that is sent from now on must return `content`. */
  became(content: Float64Array): void {
    this.#possible = [content];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#client[Symbol.asyncDispose]();
  }

  async #readOn(): Promise<void> {
    while (!this.#stopping) {
      const block = this.#nextBlock;
      const count = Math.min(BLOCKS_PER_READ, this.#blocks - block);
      this.#nextBlock = (block + count) % this.#blocks;
      const possible = [...this.#possible];
      this.#reads.add(possible);
      const bytes = await this.#client.read(block * BLOCK_BYTES, count * BLOCK_BYTES);
      this.#reads.delete(possible);
      for (let i = 0; i < count; i++) this.#check(block + i, readStamp(bytes, i * BLOCK_BYTES, block + i), possible);
    }
  }

  #check(block: number, sequence: number, possible: readonly Float64Array[]): void {
    this.#checked += 1;
    for (const content of possible) if (content[block] === sequence) return;
    this.#mismatches += 1;
  }
}
