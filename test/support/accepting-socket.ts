/** Waiting until something listens on a unix socket. */

import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';

/** Resolves when something accepts connections on `path`; throws after `timeoutMs`. */
export async function acceptingSocket(path: string, timeoutMs: number): Promise<void> {
  let isWaiting = true;
  const accepting = (async () => {
    while (isWaiting && !(await accepts(path))) await setImmediate();
  })();
  try {
    await withDeadline(accepting, timeoutMs, systemClock, `Nothing listened on ${path} within ${timeoutMs} ms`);
  } finally {
    isWaiting = false;
  }
}

/** True where something accepts connections on the unix socket `path` now. */
export function accepts(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
