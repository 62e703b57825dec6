/** WaitingWrite: a write of a guest that waits until a job has copied its range. It is used again when it has ended. */

import { ColobusError } from '../base/errors.ts';
import type { BlockRequest } from '../block/block-request.ts';
import type { CopyWaiter, ServiceEnd } from './copy-services.ts';
import type { RangeCopy } from './range-copy.ts';

export interface WaitingWriteOwner {
  /** `write` waits no more. */
  writeEnded(write: WaitingWrite, end: ServiceEnd, failed: RangeCopy | null): void;
}

export class WaitingWrite implements CopyWaiter {
  offset = 0;
  length = 0;
  /** How the write ended, where it has taken place already. */
  errno = 0;
  #request: BlockRequest | null = null;
  readonly #owner: WaitingWriteOwner;

  constructor(owner: WaitingWriteOwner) {
    this.#owner = owner;
  }

  get request(): BlockRequest {
    if (this.#request === null) throw new ColobusError('No write waits');
    return this.#request;
  }

  /** Has `request` wait for its range, which is copied in multiples of `alignment`. */
  begin(request: BlockRequest, errno: number, alignment: number): void {
    const { offset, length } = request;
    this.#request = request;
    this.errno = errno;
    this.offset = offset - (offset % alignment);
    this.length = Math.ceil((offset + length) / alignment) * alignment - this.offset;
  }

  serviceEnded(end: ServiceEnd, failed: RangeCopy | null): void {
    this.#owner.writeEnded(this, end, failed);
  }
}
