/** HostProcess: a `colobus storage-daemon` that stands for one of the two hosts. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { ColobusError } from '../../base/errors.ts';
import { QmpClient } from '../../monitor/index.ts';

const START_MS = 15_000;
const END_MS = 10_000;
/** How long after a failure the end of the process still counts as its cause. */
const END_NOTICE_MS = 300;
/** How much of what it wrote to stderr is kept for the case that it fails. */
const MAX_KEPT_STDERR = 2000;

export type HostOptions = {
  readonly name: string;
  /** An existing folder for its sockets and pidfile; the caller removes it. */
  readonly folder: string;
  /** Options of `colobus storage-daemon` beside those for the monitor and the pidfile. */
  readonly args: readonly string[];
  /** Aborting kills the process. */
  readonly signal: AbortSignal;
};

export class HostProcess implements AsyncDisposable {
  readonly name: string;
  /** Resolves when the process is gone, however it ended. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #qmp: QmpClient | null = null;
  #stderr = '';
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
  };

  private constructor({ name, folder, args, signal }: HostOptions) {
    this.name = name;
    this.#child = spawn(
      process.execPath,
      [
        ...process.execArgv,
        process.argv[1] as string,
        'storage-daemon',
        ...args,
        ...['--chardev', `socket,id=monitor,path=${monitorPath(folder, name)},server=on,wait=off`],
        ...['--monitor', 'monitor'],
        ...['--pidfile', join(folder, `${name}.pid`)],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-MAX_KEPT_STDERR);
    });
    this.ended = once(this.#child, 'close').then(
      () => this.#forget(signal),
      error => {
        this.#stderr = String(error);
        this.#forget(signal);
      },
    );
    // Whatever ends this program, the host goes with it.
    process.on('exit', this.#kill);
    signal.addEventListener('abort', this.#kill);
  }

  /** Starts it and waits until it is ready. Throws, with what it said, where it ends before. */
  static async start(options: HostOptions): Promise<HostProcess> {
    const { name, folder } = options;
    const watching = new AbortController();
    const ready = appearance(folder, `${name}.pid`, watching.signal);
    const host = new HostProcess(options);
    try {
      await host.whileAlive(withDeadline(ready, START_MS, systemClock, `Host ${name} did not start in time`));
      host.#qmp = await QmpClient.connect(monitorPath(folder, name));
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    } finally {
      watching.abort();
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The answer of its monitor to a command. */
  async execute<Result>(command: string, args: object = {}): Promise<Result> {
    if (this.#qmp === null) throw new ColobusError(`Host ${this.name} has no monitor yet`);
    return await this.#qmp.execute<Result>(command, args);
  }

  /** Waits until the job `id` has ended, well or badly. */
  async jobEnd(id: string, timeoutMs: number): Promise<void> {
    const isEnd = (data: unknown): boolean => {
      const change = data as { readonly id: string; readonly status: string };
      return change.id === id && change.status === 'concluded';
    };
    await this.#qmp?.event('JOB_STATUS_CHANGE', { timeoutMs, matches: isEnd });
  }

  /** `work`, or an error that says so as soon as the process ends by itself. */
  async whileAlive<T>(work: Promise<T>): Promise<T> {
    const died = this.ended.then((): never => {
      throw new ColobusError(
        `Host ${this.name} (process ${this.pid}) ended by itself: ${this.#stderr.trim() || 'it said nothing'}`,
      );
    });
    try {
      return await Promise.race([work, died]);
    } catch (error) {
      // A connection to a dying process breaks first; its end explains that.
      await Promise.race([died, sleep(END_NOTICE_MS, undefined, { ref: false })]);
      throw error;
    }
  }

  /** Ends it at once, as a power cut of the host does. */
  kill(): void {
    this.#kill();
  }

  /** Asks it to end and waits for that. */
  async quit(): Promise<void> {
    await this.execute('quit');
    await withDeadline(this.ended, END_MS, systemClock, `Host ${this.name} did not end within ${END_MS} ms`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#qmp?.[Symbol.asyncDispose]();
    await withDeadline(this.ended, END_MS, systemClock, `Process ${this.pid} could not be ended`);
  }

  #forget(signal: AbortSignal): void {
    process.off('exit', this.#kill);
    signal.removeEventListener('abort', this.#kill);
  }
}

function monitorPath(folder: string, name: string): string {
  return join(folder, `${name}.qmp`);
}

/** Resolves when `name` appears in `folder`. */
async function appearance(folder: string, name: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const { filename } of watch(folder, { signal })) if (filename === name) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
