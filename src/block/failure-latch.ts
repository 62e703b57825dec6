/**
 * FailureLatch: remembers that making data durable failed.
 *
 * Linux reports a failed write-back once and forgets the dirty pages, so a later fsync would succeed without the data
 * being there. A node whose flush failed therefore fails every later write and flush until it is opened anew.
 */

export class FailureLatch {
  readonly #onFailure: (errno: number) => void;
  #errno = 0;

  /** `onFailure` is told of the first failure. */
  constructor(onFailure: (errno: number) => void = () => {}) {
    this.#onFailure = onFailure;
  }

  /** 0 while nothing failed, then the errno of the first failure for good. */
  get errno(): number {
    return this.#errno;
  }

  fail(errno: number): void {
    if (this.#errno !== 0) return;
    this.#errno = errno;
    this.#onFailure(errno);
  }
}
