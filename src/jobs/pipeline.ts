/**
 * Pipeline: keeps a number of pieces of work going until all are done or one fails.
 *
 * Pieces that are done at once do not keep the event loop: in each of its turns as many are started as may be under way.
 */

import { deferred } from '../base/deadline.ts';

/** `later`: none can be started until `wake` is called or a piece is done. */
export type Start = 'started' | 'later' | 'end';

export class Pipeline {
  readonly #depth: number;
  readonly #startNext: () => Start;
  readonly #ended = deferred<void>();
  #underWay = 0;
  #isScheduled = false;
  #hasEnded = false;
  #isFailed = false;
  #failure: unknown = null;
  readonly #turn = (): void => this.#fill();

  /** Has up to `depth` pieces under way. `startNext` starts one, whose end it tells by `done`, perhaps at once. */
  constructor(depth: number, startNext: () => Start) {
    this.#depth = depth;
    this.#startNext = startNext;
  }

  /** True once a piece has failed: no other is started. */
  get isFailed(): boolean {
    return this.#isFailed;
  }

  /** Resolves when all pieces are done; throws what the first failure was, when none is under way any more. */
  run(): Promise<void> {
    this.wake();
    return this.#ended.promise;
  }

  /** A piece may be there to start. */
  wake(): void {
    if (this.#isScheduled || this.#hasEnded) return;
    this.#isScheduled = true;
    setImmediate(this.#turn);
  }

  /** A piece that was started is done. */
  done(): void {
    this.#underWay -= 1;
    this.wake();
  }

  /** A piece has failed, for which `done` is called as well, or the work as a whole. */
  fail(failure: unknown): void {
    if (!this.#isFailed) this.#failure = failure;
    this.#isFailed = true;
    this.wake();
  }

  #fill(): void {
    this.#isScheduled = false;
    // Pieces that were done at once have asked for another turn before the end.
    if (this.#hasEnded) return;
    let start: Start = 'started';
    for (let room = this.#depth; room > 0 && start === 'started' && !this.#isFailed; room--) {
      if (this.#underWay === this.#depth) return;
      this.#underWay += 1;
      start = this.#startNext();
      if (start !== 'started') this.#underWay -= 1;
    }
    if (this.#underWay === 0 && (this.#isFailed || start === 'end')) this.#end();
    else if (start === 'started' && !this.#isFailed && this.#underWay < this.#depth) this.wake();
  }

  #end(): void {
    this.#hasEnded = true;
    if (this.#isFailed) this.#ended.reject(this.#failure);
    else this.#ended.resolve();
  }
}
