/** `colobus storage-daemon`: a daemon that serves block devices, with the options of qemu-storage-daemon. */

import { Command } from 'commander';
import { ColobusDaemon } from '../../daemon/colobus-daemon.ts';
import { PidFile } from '../../daemon/pid-file.ts';
import { drivers } from '../../drivers/index.ts';
import type { LogLevel } from '../log-level.ts';
import { createLogger } from '../logging.ts';
import { CliError, errorLine } from '../report-error.ts';
import { runDaemon } from '../run-daemon.ts';
import { isDaemonized, reportToParent, startDaemonized } from './daemonize.ts';
import { type Step, type StepName, StepRunner } from './steps.ts';

const SEE_HELP = "see 'colobus storage-daemon --help'";

type StorageDaemonOptions = {
  readonly pidfile?: string;
  readonly daemonize?: true;
  readonly logLevel: LogLevel;
};

export function storageDaemonCommand(): Command {
  const steps: Step[] = [];
  /** Options of different names are carried out in the order they stand in, so they are gathered in one list. */
  const gather = (name: StepName) => (text: string) => {
    steps.push({ name, text });
  };
  return new Command('storage-daemon')
    .summary('serve block devices, with the options of qemu-storage-daemon')
    .description(
      'Serves block devices over NBD under the command of QMP monitors. The options are those of ' +
        'qemu-storage-daemon, may be repeated, and are carried out in the order given.\n\n' +
        `Drivers: ${drivers.map(driver => driver.name).join(', ')}.`,
    )
    .option(
      '--object <definition>',
      'keep TLS credentials, a secret or limits: tls-creds-x509,id=I,dir=D,endpoint=server[,verify-peer=off], ' +
        'tls-creds-psk,id=I,dir=D,endpoint=server, secret,id=I,file=F, or throttle-group,id=I,x-iops-total=N,…',
      gather('object'),
    )
    .option('--blockdev <definition>', 'open a node: driver=D,node-name=N,… or JSON', gather('blockdev'))
    .option(
      '--nbd-server <address>',
      'start the NBD server: addr.type=unix,addr.path=P or addr.type=inet,addr.host=H,addr.port=N; max-connections=N; tls-creds=I',
      gather('nbd-server'),
    )
    .option(
      '--export <export>',
      'export a node: [type=]nbd,id=I,node-name=N[,name=E][,description=T][,writable=on][,bitmaps.0=B][,allocation-depth=on]',
      gather('export'),
    )
    .option(
      '--chardev <socket>',
      'socket of a monitor: socket,id=I,path=P,server=on,wait=off or socket,id=I,host=H,port=N,server=on,wait=off',
      gather('chardev'),
    )
    .option('--monitor <chardev>', 'add a QMP monitor on a socket: [chardev=]I', gather('monitor'))
    .option('--pidfile <path>', 'write the process id to a file when all is ready; removed at exit')
    .option('--daemonize', 'run in the background; returns when all is ready')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<StorageDaemonOptions>();
      if (options.daemonize === true && !isDaemonized()) await daemonize();
      else await serve(steps, options);
    });
}

async function daemonize(): Promise<void> {
  const { exitCode, line } = await startDaemonized();
  if (line !== '') process.stderr.write(`${line}\n`);
  process.exit(exitCode);
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
