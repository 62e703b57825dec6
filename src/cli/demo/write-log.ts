/**
 * WriteLog: every write that was acknowledged, in the order of the acknowledgements, and where the checkpoints cut it.
 *
 *     write 1, write 2, write 3 │ write 4, write 5 │ write 6          cuts: [3, 5]
 *                           checkpoint 1       checkpoint 2
 *
 * The *cut* of checkpoint N is the moment at which the primary has answered its prepare: what was acknowledged before
 * is in checkpoint N, what was acknowledged later is not. A cut is kept only once its checkpoint is done on the
 * secondary, so that an attempt which was aborted leaves no trace.
 */

import { NEVER_WRITTEN } from './block-stamp.ts';

/** A cut whose checkpoint is not done yet. */
export type Cut = {
  /** How many writes were acknowledged before it. */
  readonly index: number;
  /** The sequence number that each block holds in the checkpoint. */
  readonly content: Float64Array;
};

const ENTRIES_PER_PAGE = 65_536;
/** Block number and sequence number. */
const FIELDS = 2;

export class WriteLog {
  /** The sequence number of the last acknowledged write to each block. */
  readonly content: Float64Array;
  readonly #pages: Uint32Array[] = [];
  readonly #cuts: number[] = [];
  #length = 0;

  constructor(blocks: number) {
    this.content = new Float64Array(blocks).fill(NEVER_WRITTEN);
  }

  /** Acknowledged writes. */
  get length(): number {
    return this.#length;
  }

  /** For each checkpoint done, how many writes were acknowledged before its cut. */
  get cuts(): readonly number[] {
    return this.#cuts;
  }

  append(block: number, sequence: number): void {
    const at = this.#length % ENTRIES_PER_PAGE;
    if (at === 0) this.#pages.push(new Uint32Array(ENTRIES_PER_PAGE * FIELDS));
    const page = this.#pages[this.#pages.length - 1] as Uint32Array;
    page[at * FIELDS] = block;
    page[at * FIELDS + 1] = sequence;
    this.content[block] = sequence;
    this.#length += 1;
  }

  /** A cut here and now. */
  cut(): Cut {
    return { index: this.#length, content: this.content.slice() };
  }

  /** Keeps `cut`: its checkpoint, the next one, is done. */
  keep(cut: Cut): void {
    this.#cuts.push(cut.index);
  }

  /** Calls `visit` for the writes [from, to), with the number of the last checkpoint whose cut came before each. */
  forEach(from: number, to: number, visit: (block: number, sequence: number, checkpoint: number) => void): void {
    let checkpoint = 0;
    for (let index = from; index < to; index++) {
      while (checkpoint < this.#cuts.length && (this.#cuts[checkpoint] as number) <= index) checkpoint += 1;
      const page = this.#pages[Math.floor(index / ENTRIES_PER_PAGE)] as Uint32Array;
      const at = (index % ENTRIES_PER_PAGE) * FIELDS;
      visit(page[at] as number, page[at + 1] as number, checkpoint);
    }
  }
}
