/** Cancellation: that a job is to end before its work is done, for its work to look at and for waits to be ended by. */

import { type Deferred, deferred } from '../base/deadline.ts';
import { ECANCELED } from '../base/errno.ts';
import { ColobusError } from '../base/errors.ts';
import { strerror } from '../os/libc.ts';

export class Cancellation {
  #isAsked = false;
  readonly #waits = new Set<Deferred<never>>();

  get isAsked(): boolean {
    return this.#isAsked;
  }

  /** Ends the waits. */
  ask(): void {
    this.#isAsked = true;
    for (const wait of this.#waits) wait.reject(cancelled());
  }

  /** Throws ECANCELED once a cancel was asked for. */
  check(): void {
    if (this.#isAsked) throw cancelled();
  }

  /** What `promise` brings, or a throw of ECANCELED as soon as a cancel is asked for. */
  async unlessAsked<T>(promise: Promise<T>): Promise<T> {
    const wait = deferred<never>();
    this.#waits.add(wait);
    if (this.#isAsked) wait.reject(cancelled());
    try {
      return await Promise.race([wait.promise, promise]);
    } finally {
      this.#waits.delete(wait);
    }
  }
}

function cancelled(): ColobusError {
  return new ColobusError(strerror(ECANCELED), { errno: ECANCELED });
}
