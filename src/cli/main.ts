/** The command line `colobus`. */

import { Command, CommanderError, Option } from 'commander';
import { version } from '../daemon/version.ts';
import { threadPool } from '../os/thread-pool.ts';
import { LOG_LEVELS, type LogLevel } from './log-level.ts';
import { CliError, errorLine } from './report-error.ts';

const USAGE_ERROR = 2;

/** Only what is asked for is loaded: a program that copies in half a second does not take as long to start. */
const COMMANDS: readonly (readonly [name: string, load: () => Promise<Command>])[] = [
  ['serve', async () => (await import('./serve.ts')).serveCommand()],
  ['storage-daemon', async () => (await import('./storage-daemon/command.ts')).storageDaemonCommand()],
  ['info', async () => (await import('./info/command.ts')).infoCommand()],
  ['copy', async () => (await import('./copy/command.ts')).copyCommand()],
  ['demo', async () => (await import('./demo/command.ts')).demoCommand()],
];

/** Runs the command in `argv`, the arguments behind the program's name, and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads the results may stop reading; that is not an error of the command.
  process.stdout.on('error', () => {});
  // As bin/colobus.js or the operator has set it; without that libuv has its default, and so has the pool.
  const threads = Number(process.env.UV_THREADPOOL_SIZE);
  if (threads > 0) threadPool.resize(threads);
  const program = await createProgram(argv);
  const fail = (error: unknown): never => process.exit(report(error, program.opts<{ logLevel: LogLevel }>().logLevel));
  process.on('uncaughtException', fail);
  await program.parseAsync([...argv], { from: 'user' }).catch(fail);
  process.exit(0);
}

/** With the commands that `argv` may mean; with all of them where it names none. */
async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('colobus')
    .description("Keeps a virtual machine's disk on two hosts and takes over without losing an acknowledged write.")
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addOption(new Option('--log-level <level>', 'what is logged on stderr').choices(LOG_LEVELS).default('warn'))
    .configureHelp({ showGlobalOptions: true })
    // An error is the one line that reportUsage writes, without help around it.
    .configureOutput({ outputError: () => {}, writeErr: () => {} })
    .exitOverride();
  const named = COMMANDS.filter(([name]) => argv.includes(name));
  for (const [, load] of named.length === 0 ? COMMANDS : named) {
    program.addCommand((await load()).copyInheritedSettings(program));
  }
  return program;
}

/** Says what went wrong in one line, with the stack only at log level debug; returns the exit code. */
function report(error: unknown, logLevel: LogLevel): number {
  if (error instanceof CommanderError) return reportUsage(error);
  process.stderr.write(`${errorLine(error)}\n`);
  if (logLevel === 'debug' && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`);
  return error instanceof CliError ? error.exitCode : 1;
}

function reportUsage(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  const what =
    error.code === 'commander.help'
      ? 'No command was given'
      : error.message
          .replace(/^error: /, '')
          .replace(/\.$/, '')
          .replace(/^./, c => c.toUpperCase());
  process.stderr.write(`${errorLine(new CliError(what, 'command line', "see 'colobus --help'"))}\n`);
  return USAGE_ERROR;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
