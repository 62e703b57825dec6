/** The socket that systemd hands over to a program it starts (sd_listen_fds). */

import { UsageError } from '../base/errors.ts';

const FIRST_DESCRIPTOR = 3;

/**
 * The listening socket that was passed to process `pid`, or null; takes the variables that say so out of `environment`,
 * so that no child takes them for its own. Throws UsageError where there are several.
 */
export function takeActivatedSocket(environment: NodeJS.ProcessEnv, pid: number): { readonly fd: number } | null {
  const { LISTEN_PID: listenPid, LISTEN_FDS: count } = environment;
  if (listenPid !== String(pid) || count === undefined || count === '0') return null;
  delete environment.LISTEN_PID;
  delete environment.LISTEN_FDS;
  delete environment.LISTEN_FDNAMES;
  if (count !== '1') {
    throw new UsageError(`The socket unit passes LISTEN_FDS=${count} sockets; give it one ListenStream= alone`);
  }
  return { fd: FIRST_DESCRIPTOR };
}
