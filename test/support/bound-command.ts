/** Commands that end with this process: also where a test is killed, nothing it started runs on. */

/** What to give to `spawn` for `file` with `args`: util-linux's setpriv has the kernel kill it when this process is gone. */
export function boundCommand(file: string, args: readonly string[]): [file: string, args: string[]] {
  return ['setpriv', ['--pdeathsig', 'KILL', file, ...args]];
}
