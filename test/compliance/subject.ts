/** What the compliance run needs to know about a driver to hold its nodes to the contract. */

import type { BlockNode } from '../../src/block/block-node.ts';

export interface OpenSubject extends AsyncDisposable {
  readonly node: BlockNode;
}

export type Subject = {
  readonly name: string;
  /** False for a disk that forgets what is written. */
  readonly keepsData: boolean;
  /** Opens a new disk of `lengthBytes` that reads as zeroes. Disposing leaves nothing behind. */
  open(lengthBytes: number, readOnly: boolean): Promise<OpenSubject>;
};
