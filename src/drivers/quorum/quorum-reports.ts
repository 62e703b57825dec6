/** QuorumReports: the events of a quorum, with QEMU's names and data. */

import type { BlockEventSink } from '../../block/block-event.ts';
import { strerror } from '../../os/libc.ts';

const SECTOR_BYTES = 512;

export type QuorumOperation = 'read' | 'write' | 'flush';

export class QuorumReports {
  readonly #name: string;
  readonly #emit: BlockEventSink;

  constructor(name: string, emit: BlockEventSink) {
    this.#name = name;
    this.#emit = emit;
  }

  /** The child `nodeName` failed with `errno`, or said something else than the others where `errno` is 0. */
  bad(type: QuorumOperation, nodeName: string, offset: number, length: number, errno: number): void {
    const error = errno === 0 ? {} : { error: strerror(errno) };
    const data = { type, ...error, 'node-name': nodeName, ...sectors(offset, length) };
    this.#emit({ name: 'QUORUM_REPORT_BAD', data });
  }

  /** Too few children agree on a read, or have done a write. */
  failure(offset: number, length: number): void {
    this.#emit({ name: 'QUORUM_FAILURE', data: { reference: this.#name, ...sectors(offset, length) } });
  }
}

/** The sectors that a range touches. */
function sectors(offset: number, length: number): { 'sector-num': number; 'sectors-count': number } {
  const first = Math.floor(offset / SECTOR_BYTES);
  return { 'sector-num': first, 'sectors-count': Math.ceil((offset + length) / SECTOR_BYTES) - first };
}
