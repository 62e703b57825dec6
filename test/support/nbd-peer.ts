/** NbdPeer: a real NBD server, nbdkit, qemu-nbd or nbd-server, on a unix socket in a folder of its own, for one test. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { ColobusError } from '../../src/base/errors.ts';
import { accepts } from './accepting-socket.ts';
import { boundCommand } from './bound-command.ts';

const run = promisify(execFile);
const START_MS = 20_000;

export class NbdPeer implements AsyncDisposable {
  /** A folder for images, gone with the peer. */
  readonly directory: string;
  readonly socket: string;
  #process: ChildProcess | null = null;
  /** Of a server that went to the background. */
  #daemonPid: number | null = null;
  #complaints = '';

  private constructor(directory: string) {
    this.directory = directory;
    this.socket = join(directory, 'socket');
  }

  /** Starts nbdkit with `args`, which name filters, plugin and parameters. */
  static async nbdkit(...args: readonly string[]): Promise<NbdPeer> {
    const peer = await NbdPeer.#prepare();
    return await peer.#start('nbdkit', [...peer.#nbdkitOptions, ...args]);
  }

  /** Starts qemu-nbd on the raw image that `makeImage` leaves at the path it is given. */
  static async qemuNbd(makeImage: (path: string) => Promise<void>, ...args: readonly string[]): Promise<NbdPeer> {
    const peer = await NbdPeer.#prepare();
    const image = join(peer.directory, 'image');
    await makeImage(image);
    const own = ['--persistent', '--pid-file', peer.#pidfile, '--socket', peer.socket, '--format', 'raw'];
    return await peer.#start('qemu-nbd', [...own, ...args, image]);
  }

  /**
   * Starts nbd-server with the raw image that `makeImage` leaves at the path it is given, as export `disk` with
   * `settings`; `own` are settings of the server.
   */
  static async nbdServer(
    makeImage: (path: string) => Promise<void>,
    settings: readonly string[],
    own: readonly string[] = [],
  ): Promise<NbdPeer> {
    const peer = await NbdPeer.#prepare();
    const image = join(peer.directory, 'image');
    const config = join(peer.directory, 'config');
    await makeImage(image);
    const generic = ['[generic]', 'allowlist = true', `unixsock = ${peer.socket}`, ...own];
    await writeFile(config, [...generic, '[disk]', `exportname = ${image}`, ...settings, ''].join('\n'));
    await peer.#daemon('nbd-server', ['-C', config, '-p', peer.#pidfile]);
    return peer;
  }

  uri(exportName = ''): string {
    return `nbd+unix:///${encodeURIComponent(exportName)}?socket=${this.socket}`;
  }

  /** Stops the server with SIGSTOP; resolves when none of its threads runs any more. */
  async freeze(): Promise<void> {
    const process = this.#process;
    process?.kill('SIGSTOP');
    const tasks = `/proc/${process?.pid}/task`;
    const runs = async (task: string): Promise<boolean> =>
      !/\) T /.test(await readFile(`${tasks}/${task}/stat`, 'utf8'));
    for (const task of await readdir(tasks)) {
      while (await runs(task));
    }
  }

  /** Kills the server and starts nbdkit with `args` in its place. */
  async restart(...args: readonly string[]): Promise<void> {
    const killed = this.#process;
    if (killed !== null) {
      const exited = new Promise(resolve => killed.once('exit', resolve));
      killed.kill('SIGKILL');
      await exited;
    }
    await Promise.all([rm(this.#pidfile, { force: true }), rm(this.socket, { force: true })]);
    await this.#start('nbdkit', [...this.#nbdkitOptions, ...args]);
  }

  /** Ends the server without a word to its clients. */
  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const process = this.#process;
    if (process !== null && process.exitCode === null && process.signalCode === null) {
      const exited = new Promise(resolve => process.once('exit', resolve));
      process.kill('SIGKILL');
      await exited;
    }
    if (this.#daemonPid !== null) globalThis.process.kill(this.#daemonPid, 'SIGTERM');
    await rm(this.directory, { recursive: true, force: true });
  }

  static async #prepare(): Promise<NbdPeer> {
    return new NbdPeer(await mkdtemp(join(tmpdir(), 'colobus-nbd-')));
  }

  get #nbdkitOptions(): readonly string[] {
    return ['--foreground', '--exit-with-parent', '--pidfile', this.#pidfile, '--unix', this.socket];
  }

  get #pidfile(): string {
    return join(this.directory, 'pid');
  }

  /** Both servers write their pid when they listen. */
  async #start(program: string, args: readonly string[]): Promise<NbdPeer> {
    const watcher = watch(this.directory);
    try {
      const child = spawn(...boundCommand(program, args), { stdio: ['ignore', 'ignore', 'pipe'] });
      this.#process = child;
      child.stderr.on('data', (text: Buffer) => {
        this.#complaints += text.toString();
      });
      const listening = new Promise<void>((resolve, reject) => {
        watcher.on('change', () => existsSync(this.#pidfile) && resolve());
        child.once('error', reject);
        child.once('close', () => reject(new ColobusError(`${program} ended: ${this.#complaints}`)));
      });
      await withDeadline(listening, START_MS, systemClock, `${program} did not listen within ${START_MS} ms`);
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    } finally {
      watcher.close();
    }
  }

  /** Starts a server that goes to the background, and waits until it accepts connections. */
  async #daemon(program: string, args: readonly string[]): Promise<void> {
    await run(program, args);
    const accepting = (async () => {
      while (!(existsSync(this.#pidfile) && (await accepts(this.socket)))) await setImmediate();
    })();
    await withDeadline(accepting, START_MS, systemClock, `${program} did not listen within ${START_MS} ms`);
    this.#daemonPid = Number(await readFile(this.#pidfile, 'utf8'));
  }
}
