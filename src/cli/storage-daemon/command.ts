/** `colobus storage-daemon`: a daemon that serves block devices, with the options of qemu-storage-daemon. */

import { Command } from 'commander';
import { ColobusDaemon } from '../../daemon/colobus-daemon.ts';
import { PidFile } from '../../daemon/pid-file.ts';
import { version } from '../../daemon/version.ts';
import { drivers } from '../../drivers/index.ts';
import type { LogLevel } from '../log-level.ts';
import { createLogger } from '../logging.ts';
import { CliError, errorLine } from '../report-error.ts';
import { runDaemon } from '../run-daemon.ts';
import { expandAbbreviations } from './abbreviations.ts';
import { isDaemonized, reportToParent, startDaemonized } from './daemonize.ts';
import { helpOf, isHelp } from './option-help.ts';
import { type Step, type StepName, StepRunner } from './steps.ts';

/** 80 columns less the indentation, and less `Drivers: ` in the first. */
const LINE_WIDTH = 67;
const FIRST_LINE_WIDTH = LINE_WIDTH - 9;
/** `fd=5` of a chardev, `addr.str=5` of the NBD server, and the same in JSON. */
const DESCRIPTOR = /\b(?:fd|str)"?[=:]\s*"?(\d{1,4})\b/g;
const SEE_HELP = "see 'colobus storage-daemon --help'";

type StorageDaemonOptions = {
  readonly pidfile?: string;
  readonly daemonize?: true;
  readonly trace?: string;
  readonly logLevel: LogLevel;
};

const DESCRIPTION = `Serves block devices over NBD under the command of QMP monitors. The options
are those of qemu-storage-daemon: a definition is [KEY=]VALUE,KEY=VALUE,… with
dots for what is nested and a comma in a value doubled, or JSON. Options may be
repeated and abbreviated, and are carried out in the order given.`;

const DEFINITIONS = `
Definitions:
  --blockdev [driver=]D,node-name=N[,read-only=on][,auto-read-only=on]
             [,force-share=on][,discard=ignore|unmap]
             [,detect-zeroes=on|unmap][,cache.direct=on][,cache.no-flush=on]
             [,options of the driver…]
             Drivers: DRIVERS
  --export   [type=]nbd,id=I,node-name=N[,name=E][,description=T][,writable=on]
             [,writethrough=on][,bitmaps.0=B][,allocation-depth=on]
  --nbd-server addr.type=unix,addr.path=P   or addr.type=fd,addr.str=FD, or
             addr.type=inet,addr.host=H,addr.port=N[,addr.to=N][,addr.ipv4=on];
             then [,tls-creds=I][,max-connections=N]
  --chardev  [backend=]socket,id=I,path=P,server=on,wait=off, or host=H,port=N
             or fd=FD in place of the path; stdio,id=I; null,id=I
  --monitor  [chardev=]I[,mode=control][,pretty=on]
  --object   tls-creds-x509,id=I,dir=D,endpoint=server[,verify-peer=off]
             tls-creds-psk,id=I,dir=D,endpoint=server
             secret,id=I,file=F
             throttle-group,id=I,x-iops-total=N,…
             'help' lists the types, 'TYPE,help' the properties of one

SIGTERM, SIGINT and SIGHUP end the daemon in order; a second one, at once.
Exit codes: 0 ended in order, 1 failed while running, 2 could not start.`;

/** What getopt_long does for qemu-storage-daemon: long options may be cut short. */
class StorageDaemonCommand extends Command {
  override parseOptions(args: string[]): ReturnType<Command['parseOptions']> {
    const known = [...this.options, ...(this.parent?.options ?? [])].flatMap(({ long, required, optional }) =>
      long == null ? [] : [{ long, takesValue: required || optional }],
    );
    return super.parseOptions(expandAbbreviations(args, [...known, { long: '--help', takesValue: false }]));
  }
}

export function storageDaemonCommand(): Command {
  const steps: Step[] = [];
  /** Options of different names are carried out in the order they stand in, so they are gathered in one list. */
  const gather = (name: StepName) => (text: string) => {
    steps.push({ name, text });
  };
  // The program's own shows in the help; this one is for what getopt_long takes as its abbreviation.
  const command = new StorageDaemonCommand('storage-daemon').version(version, '-V, --version', 'print the version');
  for (const option of command.options) option.hideHelp();
  return command
    .summary('serve block devices, with the options of qemu-storage-daemon')
    .description(DESCRIPTION)
    .option('--blockdev <definition>', 'open a node', gather('blockdev'))
    .option('--chardev <definition>', 'open a socket for a monitor', gather('chardev'))
    .option('--daemonize', 'run in the background; return when all is ready')
    .option('--export <definition>', 'export a node over NBD', gather('export'))
    .option('--monitor <definition>', 'add a QMP monitor on a chardev', gather('monitor'))
    .option('--nbd-server <definition>', 'start the NBD server', gather('nbd-server'))
    .option('--object <definition>', 'keep TLS credentials, a secret or limits', gather('object'))
    .option('--pidfile <path>', 'write the process id there when all is ready; removed at exit')
    .option('-T, --trace <pattern>', 'accepted and ignored: there are no trace events; see --log-level')
    .addHelpText('after', DEFINITIONS.replace('DRIVERS', wrapped(drivers.map(driver => driver.name))))
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<StorageDaemonOptions>();
      const help = steps.map(helpOf).find(text => text !== null);
      if (help !== undefined) {
        process.stdout.write(help);
        return;
      }
      if (options.trace !== undefined && isHelp(options.trace)) {
        process.stderr.write('colobus: there are no trace events; see --log-level\n');
        return;
      }
      if (options.trace !== undefined && !isDaemonized()) {
        process.stderr.write(`colobus: --trace ${options.trace} is ignored: there are no trace events\n`);
      }
      if (options.daemonize === true && !isDaemonized()) await daemonize(steps);
      else await serve(steps, options);
    });
}

/** Names in lines that fit behind an indentation of 13. */
function wrapped(names: readonly string[]): string {
  const lines = [''];
  for (const [index, name] of names.entries()) {
    const word = index === names.length - 1 ? name : `${name}, `;
    const width = lines.length === 1 ? FIRST_LINE_WIDTH : LINE_WIDTH;
    if ((lines.at(-1) as string).length + word.trimEnd().length > width) lines.push('');
    lines[lines.length - 1] += word;
  }
  return lines.map(line => line.trimEnd()).join(`\n${' '.repeat(13)}`);
}

async function daemonize(steps: readonly Step[]): Promise<void> {
  const stdio = steps.find(({ name, text }) => name === 'chardev' && /^(backend=)?stdio(,|$)/.test(text));
  if (stdio !== undefined) {
    throw new CliError('cannot use stdio with -daemonize', `--chardev ${stdio.text}`, 'give the monitor a socket');
  }
  const { exitCode, line } = await startDaemonized(descriptorsOf(steps));
  if (line !== '') process.stderr.write(`${line}\n`);
  process.exit(exitCode);
}

/** The descriptors that sockets of the options are taken from. */
function descriptorsOf(steps: readonly Step[]): readonly number[] {
  const sockets = steps.filter(({ name }) => name === 'chardev' || name === 'nbd-server');
  return sockets.flatMap(({ text }) => [...text.matchAll(DESCRIPTOR)].map(([, number]) => Number(number)));
}

async function serve(steps: readonly Step[], options: StorageDaemonOptions): Promise<void> {
  const daemonized = isDaemonized();
  const daemon = new ColobusDaemon({ drivers, logger: createLogger(options.logLevel) });
  let pidFile: PidFile | null = null;
  try {
    await runDaemon(daemon, async () => {
      if (options.pidfile !== undefined)
        await PidFile.checkFree(options.pidfile).catch(explainAt(`--pidfile ${options.pidfile}`));
      const runner = new StepRunner(daemon, drivers);
      for (const step of steps) await runner.run(step).catch(explainAt(`--${step.name} ${step.text}`));
      if (options.pidfile !== undefined) {
        pidFile = await PidFile.create(options.pidfile).catch(explainAt(`--pidfile ${options.pidfile}`));
      }
      if (daemonized) await reportToParent({ exitCode: 0, line: '' });
    });
  } catch (error) {
    if (daemonized)
      await reportToParent({ exitCode: error instanceof CliError ? error.exitCode : 2, line: errorLine(error) });
    throw error;
  } finally {
    await (pidFile as PidFile | null)?.[Symbol.asyncDispose]();
  }
}

function explainAt(option: string): (cause: unknown) => never {
  return cause => {
    throw new CliError(cause, option, SEE_HELP);
  };
}
