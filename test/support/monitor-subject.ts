/** MonitorSubject: a running program with two monitors, to which transcripts are played: Colobus or one of QEMU's. */

import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { escapeCommas } from './daemon.ts';
import { Program } from './program.ts';
import { RawMonitor } from './raw-monitor.ts';
import type { ClientName, SubjectName, Transcript } from './transcript.ts';

const MAX_ATTEMPTS = 500;
const ATTEMPT_PAUSE_MS = 20;
const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

export class MonitorSubject implements AsyncDisposable {
  readonly name: SubjectName;
  /** What transcripts call $DIR. */
  readonly directory: string;
  readonly #program: Program;

  private constructor(name: SubjectName, directory: string, program: Program) {
    this.name = name;
    this.directory = directory;
    this.#program = program;
  }

  /**
   * Starts the program for transcripts of the same options, in the folder `directory`, which it makes with the files
   * they ask for, and waits until its monitors listen.
   */
  static async start(
    name: SubjectName,
    transcripts: readonly [Transcript, ...Transcript[]],
    directory: string,
  ): Promise<MonitorSubject> {
    await mkdir(directory);
    for (const { files } of transcripts) await makeFiles(directory, files);
    const given = transcripts[0].options.map(option => option.replaceAll('$DIR', directory));
    const pidfile = join(directory, 'pid');
    const args = [...given, ...monitorOptions(name, directory), '--pidfile', pidfile];
    const program =
      name === 'colobus' ? Program.colobus(['storage-daemon', ...args]) : Program.start(name, args, { cwd: directory });
    const subject = new MonitorSubject(name, directory, program);
    try {
      await program.created(pidfile, `${program.pid}\n`);
      await subject.#listens();
      return subject;
    } catch (error) {
      await subject[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A client of the monitor that `client` has to itself. */
  connect(client: ClientName): Promise<RawMonitor> {
    return RawMonitor.connect(monitorPath(this.directory, client));
  }

  /** Resolves when the monitors can be connected to: qemu-system writes its pidfile before. */
  async #listens(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        // The monitors are made in their order.
        const monitor = await this.connect('b');
        return await monitor[Symbol.asyncDispose]();
      } catch (error) {
        if (attempt === MAX_ATTEMPTS) throw error;
        await pause(ATTEMPT_PAUSE_MS);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

/** A name that two transcripts of one daemon have in common is an error. */
async function makeFiles(directory: string, files: Transcript['files']): Promise<void> {
  for (const { name, size } of files) {
    const file = await open(join(directory, name), 'wx');
    await file.truncate(Number.parseInt(size, 10) * (UNITS[size.slice(-1)] ?? 1)).finally(() => file.close());
  }
}

function monitorOptions(name: SubjectName, directory: string): readonly string[] {
  const machine = name === 'qemu-system-x86_64' ? ['-machine', 'none', '-nodefaults', '-display', 'none'] : [];
  const monitors = (['a', 'b'] as const).flatMap(client => {
    const path = escapeCommas(monitorPath(directory, client));
    const monitor = name === 'qemu-system-x86_64' ? ['-mon', `${client},mode=control`] : ['--monitor', client];
    return ['--chardev', `socket,id=${client},path=${path},server=on,wait=off`, ...monitor];
  });
  return [...machine, ...monitors];
}

function monitorPath(directory: string, client: ClientName): string {
  return join(directory, `${client}.qmp`);
}
