/** Daemon: a real `colobus storage-daemon` process with a monitor, for tests and benchmarks. */

import { join } from 'node:path';
import { QmpClient } from '../../src/monitor/index.ts';
import { Program, type ProgramEnd } from './program.ts';

export type DaemonOptions = {
  /** An existing folder for its sockets and pidfile; the caller removes it. */
  readonly directory: string;
  /** Tells daemons of one folder apart. */
  readonly name: string;
  /** Options of `colobus storage-daemon` beside those for the monitor and the pidfile. */
  readonly args: readonly string[];
  /** Flags of node itself. */
  readonly nodeFlags?: readonly string[];
};

export class Daemon implements AsyncDisposable {
  readonly qmp: QmpClient;
  /** Path of the monitor's socket, for further clients. */
  readonly monitorPath: string;
  readonly pidfilePath: string;
  readonly #program: Program;

  private constructor(program: Program, qmp: QmpClient, monitorPath: string, pidfilePath: string) {
    this.#program = program;
    this.qmp = qmp;
    this.monitorPath = monitorPath;
    this.pidfilePath = pidfilePath;
  }

  /** Starts it and waits until its pidfile says that it is ready. Throws with its stderr where it ends before. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { directory, name, args, nodeFlags = [] } = options;
    const monitorPath = join(directory, `${name}.qmp`);
    const pidfilePath = join(directory, `${name}.pid`);
    const monitor = ['--chardev', `socket,id=monitor,path=${escapeCommas(monitorPath)},server=on,wait=off`];
    const own = [...monitor, '--monitor', 'monitor', '--pidfile', pidfilePath];
    const program = Program.colobus(['storage-daemon', ...args, ...own], { nodeFlags });
    try {
      await program.created(pidfilePath, `${program.pid}\n`);
      return new Daemon(program, await QmpClient.connect(monitorPath), monitorPath, pidfilePath);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#program.pid;
  }

  get stderr(): string {
    return this.#program.stderr;
  }

  /** Sends `signal` and, unless the process only stops or goes on by it, waits for its end. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    this.#program.signal(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#program.ended();
  }

  /** Asks the daemon to end and tells how it did. */
  async quit(): Promise<ProgramEnd> {
    await this.qmp.execute('quit');
    return await this.#program.ended();
  }

  /** How it ended. */
  ended(): Promise<ProgramEnd> {
    return this.#program.ended();
  }

  /** Ends it at once, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.qmp[Symbol.asyncDispose]();
    await this.#program[Symbol.asyncDispose]();
  }
}

/** A value of QEMU's key=value syntax. */
export function escapeCommas(text: string): string {
  return text.replaceAll(',', ',,');
}
