/**
 * DiskModel: what a replicated disk reads as, in the fewest words.
 *
 * The primary's disk holds what the primary wrote. The standby's view is the primary's disk as it was at the last
 * checkpoint with the standby's own writes since. A checkpoint makes the view the primary's disk; a take-over with
 * the checkpoint image makes the secondary's disk the view.
 */

import type { Write } from './sequence.ts';

export class DiskModel {
  readonly primary: Buffer;
  readonly view: Buffer;
  /** The raw disk of the secondary. */
  readonly secondary: Buffer;
  #hasFailedOver = false;

  /** A disk of zeroes. */
  constructor(sizeBytes: number) {
    this.primary = Buffer.alloc(sizeBytes);
    this.view = Buffer.alloc(sizeBytes);
    this.secondary = Buffer.alloc(sizeBytes);
  }

  write(write: Write): void {
    if (write.side === 'primary') {
      put(this.primary, write);
      put(this.secondary, write);
    } else {
      put(this.view, write);
      if (this.#hasFailedOver) put(this.secondary, write);
    }
  }

  checkpoint(): void {
    this.primary.copy(this.view);
  }

  failOver(): void {
    this.view.copy(this.secondary);
    this.#hasFailedOver = true;
  }
}

function put(disk: Buffer, { offset, length, data }: Write): void {
  if (data === null) disk.fill(0, offset, offset + length);
  else data.copy(disk, offset);
}
