/**
 * SpillFile: where the chunks of a COLO buffer go when its memory is full.
 *
 * Scratch space: its content means nothing to another process. A header tells a spill file from a file that somebody
 * still wants, so that a mistyped path destroys nothing.
 */

import fs from 'node:fs';
import { EIO, errnoOf } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { PoolShare } from '../../os/thread-pool.ts';
import type { SlabSource } from './slot-allocator.ts';

const MAGIC = Buffer.from('COLOBUS SPILL FILE 1\n');
const HEADER_BYTES = 4096;
const SLOTS_PER_SLAB = 256;

export class SpillFile implements SlabSource, AsyncDisposable {
  readonly slotsPerSlab: number = SLOTS_PER_SLAB;
  /** A read of a slot may still be under way when its chunk gets another content. */
  readonly reusesSlots = false;
  readonly #path: string;
  readonly #granularity: number;
  readonly #file: fs.promises.FileHandle;
  readonly #free: number[] = [];
  readonly #share = new PoolShare();
  #slabs = 0;

  private constructor(path: string, granularity: number, file: fs.promises.FileHandle) {
    this.#path = path;
    this.#granularity = granularity;
    this.#file = file;
  }

  /** Makes the file, or takes over the one an earlier run left behind. */
  static async open(path: string, granularity: number): Promise<SpillFile> {
    let file: fs.promises.FileHandle;
    try {
      file = await fs.promises.open(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
    } catch (error) {
      throw new UsageError(`Cannot open spill file '${path}': ${messageOf(error)}; name a file in a writable folder`, {
        cause: error,
      });
    }
    try {
      const head = Buffer.alloc(MAGIC.length);
      const { size } = await file.stat();
      if (size > 0) await file.read(head, 0, head.length, 0);
      if (size > 0 && !head.equals(MAGIC)) {
        throw new UsageError(`File '${path}' is not a spill file and would be overwritten; name another one`);
      }
      await file.truncate(0);
      await file.write(MAGIC, 0, MAGIC.length, 0);
      return new SpillFile(path, granularity, file);
    } catch (error) {
      await file.close();
      throw error instanceof UsageError
        ? error
        : new ColobusError(`Cannot prepare spill file '${path}': ${messageOf(error)}`, { cause: error });
    }
  }

  takeSlab(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    this.#slabs += 1;
    return this.#slabs - 1;
  }

  giveBack(slabs: readonly number[]): void {
    for (const slab of slabs) this.#free.push(slab);
  }

  /** Reads `length` bytes from byte `skip` of `slot` on; `done` gets an errno, 0 for success. */
  read(slot: number, skip: number, target: Buffer, at: number, length: number, done: (errno: number) => void): void {
    const moved = this.#moved(length, done);
    const startInPool = (): void => fs.read(this.#file.fd, target, at, length, this.#position(slot) + skip, moved);
    this.#share.enter({ startInPool });
  }

  write(slot: number, source: Buffer, at: number, length: number, done: (errno: number) => void): void {
    const moved = this.#moved(length, done);
    const startInPool = (): void => fs.write(this.#file.fd, source, at, length, this.#position(slot), moved);
    this.#share.enter({ startInPool });
  }

  #moved(length: number, done: (errno: number) => void): (error: Error | null, count: number) => void {
    return (error, count) => {
      this.#share.leave();
      done(error === null ? (count === length ? 0 : EIO) : errnoOf(error));
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
    await fs.promises.rm(this.#path, { force: true });
  }

  #position(slot: number): number {
    return HEADER_BYTES + slot * this.#granularity;
  }
}
