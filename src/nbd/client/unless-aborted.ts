/** Waiting that an AbortSignal ends. */

import { deferred } from '../../base/deadline.ts';

/** `promise`, or a rejection with the reason of `signal` as soon as that is aborted. What is awaited goes on regardless. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = deferred<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
