/** Waiting with a bound: nothing in the control plane waits without one. */

import type { Clock } from './clock.ts';
import { ETIMEDOUT } from './errno.ts';
import { ColobusError } from './errors.ts';

export type Deferred<T> = {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
};

/** A promise with its resolvers outside (Node 20 lacks `Promise.withResolvers`). */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** `promise`, or a ColobusError with ETIMEDOUT and `message` after `timeoutMs`. What is awaited goes on regardless. */
export async function withDeadline<T>(
  promise: Promise<T>,
  timeoutMs: number,
  clock: Clock,
  message: string,
): Promise<T> {
  const expiry = deferred<never>();
  const timer = clock.after(timeoutMs, () => expiry.reject(new ColobusError(message, { errno: ETIMEDOUT })));
  try {
    return await Promise.race([promise, expiry.promise]);
  } finally {
    timer.cancel();
  }
}
