/** Call: the promise of one call of a client, settled by its request's completion, its deadline or its signal. */

import type { Clock, Timer } from '../../base/clock.ts';
import { ETIMEDOUT, errnoName } from '../../base/errno.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import { type BlockRequest, type RequestOwner, releaseRequest } from '../../block/block-request.ts';

export type CallOptions = {
  /** Rejects the call at once with the signal's reason. A write may then happen or not; the connection is unharmed. */
  readonly signal?: AbortSignal;
  /**
   * Rejects the call with ETIMEDOUT after this many milliseconds, in the same way. It can only shorten the client's
   * `requestTimeoutMs`, which ends the connection.
   */
  readonly timeoutMs?: number;
};

/** The client that a call is made on. */
export interface CallHost {
  /** Why the connection fails calls, if it does. */
  reasonOfLoss(): ColobusError | null;
  /** Told when the request of a call has completed, which may be long after the call was given up. */
  callEnded(): void;
}

const IGNORE = (): void => {};

export class Call implements RequestOwner {
  readonly #what: string;
  readonly #host: CallHost;
  #resolve: () => void = IGNORE;
  #reject: (error: unknown) => void = IGNORE;
  #timer: Timer | null = null;
  #signal: AbortSignal | null = null;

  /** `what` names the call in errors. */
  constructor(what: string, host: CallHost) {
    this.#what = what;
    this.#host = host;
  }

  /** Arms the call; to be followed by submitting its request in the same tick. */
  start(resolve: () => void, reject: (error: unknown) => void, { signal, timeoutMs }: CallOptions, clock: Clock): void {
    this.#resolve = resolve;
    this.#reject = reject;
    if (signal !== undefined) {
      this.#signal = signal;
      signal.addEventListener('abort', this.#abort, { once: true });
    }
    if (timeoutMs !== undefined) this.#timer = clock.after(timeoutMs, () => this.#expire(timeoutMs));
  }

  requestDone(request: BlockRequest): void {
    const { errno } = request;
    releaseRequest(request);
    this.#disarm();
    if (errno === 0) this.#resolve();
    else this.#reject(this.#failure(errno));
    this.#host.callEnded();
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#signal?.reason;
    this.#disarm();
    this.#reject(reason);
  };

  #expire(timeoutMs: number): void {
    this.#disarm();
    const message = `A ${this.#what} was not done within ${timeoutMs} ms; whether it will be is open`;
    this.#reject(new ColobusError(message, { errno: ETIMEDOUT }));
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  #failure(errno: number): ColobusError {
    const cause = this.#host.reasonOfLoss();
    const message = `A ${this.#what} failed: ${errnoName(errno)}`;
    if (cause === null) return new ColobusError(message, { errno });
    const explained = `${message} (${cause.message})`;
    return cause instanceof ProtocolError
      ? new ProtocolError(explained, { errno, cause })
      : new ColobusError(explained, { errno, cause });
  }
}
