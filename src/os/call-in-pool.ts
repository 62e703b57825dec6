/** Runs system calls of libc that may wait for a disk in the thread pool, so that the event loop does not. */

import { assert } from '../base/assert.ts';
import { EINTR } from '../base/errno.ts';
import { lastErrno, type NativeCall } from './libc.ts';
import type { PoolShare } from './thread-pool.ts';

/** `result` as the C function returned it, or -1 with the errno; the errno is 0 on success. */
export type CallDone = (result: number, errno: number) => void;

/** Calls `call(...args)` in a thread of `share` and tells `done`, never before this function has returned. */
export function callInPool<Arguments extends (number | Buffer)[]>(
  share: PoolShare,
  call: NativeCall<Arguments>,
  args: Arguments,
  done: CallDone,
): void {
  const startInPool = (): void => {
    call.async(...args, (error: unknown, result: number) => {
      assert(error === null, 'A call of libc returns');
      const errno = result === -1 ? lastErrno() : 0;
      if (errno === EINTR) {
        startInPool();
        return;
      }
      share.leave();
      done(result, errno);
    });
  };
  share.enter({ startInPool });
}
