/**
 * Runs system calls that may wait for a disk in the thread pool, so that the event loop does not.
 *
 * It is the pool of Node's own file functions. At most `MAX_CALLS_IN_POOL` are handed to it at once, because koffi
 * refuses more than a fixed number; the others wait their turn, in order.
 */

import { EINTR } from '../base/errno.ts';
import { lastErrno, type NativeCall } from './libc.ts';

export const MAX_CALLS_IN_POOL = 64;

/** `result` as the C function returned it, or -1 with the errno; the errno is 0 on success. */
export type CallDone = (result: number, errno: number) => void;

let running = 0;
const waiting: (() => void)[] = [];

/** Calls `call(...args)` in the thread pool and tells `done`, never before this function has returned. */
export function callInPool<Arguments extends (number | Buffer)[]>(
  call: NativeCall<Arguments>,
  args: Arguments,
  done: CallDone,
): void {
  const start = (): void => {
    running += 1;
    call.async(...args, (_error: unknown, result: number) => {
      const errno = result === -1 ? lastErrno() : 0;
      running -= 1;
      if (errno === EINTR) {
        start();
        return;
      }
      waiting.shift()?.();
      done(result, errno);
    });
  };
  if (running < MAX_CALLS_IN_POOL) start();
  else waiting.push(start);
}
