/** QemuSystem: a `qemu-system-x86_64 -machine none`, no guest, for its block layer and monitor. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { QmpClient } from '../../src/monitor/index.ts';
import { escapeCommas } from './daemon.ts';
import { Program } from './program.ts';

const START_MS = 60_000;

export class QemuSystem implements AsyncDisposable {
  /** For the commands of the test; the process has another monitor at `monitorPath`. */
  readonly qmp: QmpClient;
  readonly monitorPath: string;
  readonly #program: Program;

  private constructor(program: Program, qmp: QmpClient, monitorPath: string) {
    this.#program = program;
    this.qmp = qmp;
    this.monitorPath = monitorPath;
  }

  /** Starts it with its sockets at `path`.qmp and `path`.more.qmp, and waits until both can be connected to: it makes them before it greets. */
  static async start(path: string): Promise<QemuSystem> {
    const sockets = [`${path}.qmp`, `${path}.more.qmp`] as const;
    const monitors = sockets.flatMap((socket, i) => [
      ...['-chardev', `socket,id=mon${i},path=${escapeCommas(socket)},server=on,wait=off`],
      ...['-mon', `chardev=mon${i},mode=control`],
    ]);
    const args = ['-machine', 'none', '-nodefaults', '-display', 'none', ...monitors];
    const program = Program.start('qemu-system-x86_64', args);
    try {
      return new QemuSystem(program, await firstClient(sockets[0]), sockets[1]);
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** SIGKILL, SIGSTOP or SIGCONT; after the first it is gone when this returns. */
  async kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    this.#program.signal(signal);
    if (signal === 'SIGKILL') await this.#program.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.qmp[Symbol.asyncDispose]();
    await this.#program[Symbol.asyncDispose]();
  }
}

/** Connects as soon as somebody listens. A client that only looks and goes again can make QEMU 7.2 crash. */
async function firstClient(path: string): Promise<QmpClient> {
  const deadlineMs = performance.now() + START_MS;
  for (;;) {
    try {
      return await QmpClient.connect(path, { timeoutMs: START_MS });
    } catch (error) {
      const isEarly = error instanceof Error && /ENOENT|ECONNREFUSED/.test(error.message);
      if (!isEarly || performance.now() > deadlineMs) throw error;
      await nextTurn();
    }
  }
}
