/** Runs a daemon in the foreground until somebody asks it to end. */

import type { ColobusDaemon } from '../daemon/colobus-daemon.ts';
import { CliError } from './report-error.ts';

/**
 * Starts `daemon` with `start`, then waits for a monitor's quit or a signal, and disposes it. SIGTERM, SIGINT and
 * SIGHUP end it in order, which finishes a commit first; a second one ends the process at once. Where `start` throws,
 * nothing it made is left. Throws where a job did not complete.
 */
export async function runDaemon(daemon: ColobusDaemon, start: () => Promise<void>): Promise<void> {
  let signalled = false;
  const onSignal = (): void => {
    if (signalled) process.exit(1);
    signalled = true;
    daemon.quit('host-signal');
  };
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  // The daemon's own timers and an idle graph keep no process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    await start();
    await daemon.quitRequested;
  } finally {
    await daemon[Symbol.asyncDispose]();
    clearInterval(alive);
    for (const signal of signals) process.off(signal, onSignal);
  }
  const [unfinished] = daemon.unfinishedJobs;
  if (unfinished === undefined) return;
  const { id, type, error } = unfinished;
  throw new CliError(
    `The ${type} did not complete${error === undefined ? '' : ` (${error})`}, and the disk is between two images`,
    `job '${id}'`,
    'restore the disk from the other host or a backup',
    1,
  );
}
