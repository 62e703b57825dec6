/** IoVector: an array of `struct iovec`, the pieces of memory that one system call reads or writes. */

import { addressOf, addressOfRange } from './memory-address.ts';

/** An entry is address and length, u64 each in the machine's byte order: little-endian on all that Node.js runs on. */
const ENTRY_BYTES = 16;
const WORDS_PER_ENTRY = 4;
const HIGH_WORD = 0x1_0000_0000;

export class IoVector {
  readonly entries: number;
  /** Where the array lies. */
  readonly address: number;
  readonly #words: Uint32Array;

  constructor(entries: number) {
    const memory = Buffer.alloc(entries * ENTRY_BYTES);
    this.entries = entries;
    this.address = addressOf(memory);
    this.#words = new Uint32Array(memory.buffer, memory.byteOffset, entries * WORDS_PER_ENTRY);
  }

  /** Entry `index` is `length` bytes from `at` of `buffer`, fewer than 2^32. */
  set(index: number, buffer: Buffer, at: number, length: number): void {
    const address = addressOfRange(buffer, at, length);
    const word = index * WORDS_PER_ENTRY;
    this.#words[word] = address % HIGH_WORD;
    this.#words[word + 1] = Math.floor(address / HIGH_WORD);
    this.#words[word + 2] = length;
  }
}
