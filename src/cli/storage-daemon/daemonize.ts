/**
 * `--daemonize`: the daemon runs on in a process without terminal, and the command ends when it is ready.
 *
 * The child is the same program with DAEMONIZED_VARIABLE set; over the channel to its parent it reports once, that it
 * is ready or why it failed.
 */

import { type StdioOptions, spawn } from 'node:child_process';

/** Set in the environment of the child. */
const DAEMONIZED_VARIABLE = 'COLOBUS_DAEMONIZED';

type Report = { readonly exitCode: number; readonly line: string };

/** True in the child. */
export function isDaemonized(): boolean {
  return process.env[DAEMONIZED_VARIABLE] === '1' && process.send !== undefined;
}

/** In the child: tells the parent that all is ready (exit code 0), or the error line, and lets it go. */
export function reportToParent(report: Report): Promise<void> {
  return new Promise(resolve => {
    process.send?.(report, () => {
      process.disconnect();
      resolve();
    });
  });
}

/** In the parent: starts the child, which has `descriptors` of this process, and returns what it reported. */
export function startDaemonized(descriptors: readonly number[] = []): Promise<Report> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: inheriting(descriptors),
    env: { ...process.env, [DAEMONIZED_VARIABLE]: '1' },
  });
  const stop = (): void => {
    child.kill();
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
  return new Promise(resolve => {
    child.once('error', error =>
      resolve({ exitCode: 2, line: `colobus: The daemon did not start, ${error.message}, check the system` }),
    );
    child.once('exit', (code, signal) =>
      resolve({
        exitCode: 2,
        line: `colobus: The daemon ended before it was ready, ${signal ?? `exit code ${code}`}, run it without --daemonize`,
      }),
    );
    child.once('message', report => resolve(report as Report));
  });
}

/** The child's descriptors by number: those that are handed on keep theirs, and the channel to the parent is behind. */
function inheriting(descriptors: readonly number[]): StdioOptions {
  const stdio = Array.from({ length: Math.max(2, ...descriptors) + 1 }, (_, number) =>
    number > 2 && descriptors.includes(number) ? number : ('ignore' as const),
  );
  return [...stdio, 'ipc'];
}
