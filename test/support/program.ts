/** Program: a child process of a test, with its output, its end and a deadline on everything. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { boundCommand } from './bound-command.ts';
import { buildRoot } from './project.ts';

const END_MS = 20_000;

export type ProgramEnd = {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type ProgramOptions = { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv };
export type ColobusOptions = ProgramOptions & {
  /** Flags of node itself. */
  readonly nodeFlags?: readonly string[];
};

export class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<ProgramEnd>;
  #stdout = '';
  #stderr = '';
  #firstLine: ((line: string) => void) | null = null;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      if (this.#stdout.includes('\n')) this.#firstLine?.(this.#stdout.slice(0, this.#stdout.indexOf('\n')));
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#ended = once(child, 'close').then(([exitCode]) => ({
      exitCode: exitCode as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }));
    // Whoever asks for the end is told that there was no start.
    this.#ended.catch(() => {});
  }

  static start(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
    return new Program(spawn(...boundCommand(file, args), { stdio: ['ignore', 'pipe', 'pipe'], ...options }));
  }

  /** Starts `colobus` as this build has it, with the threads that bin/colobus.js gives it. */
  static colobus(args: readonly string[], { nodeFlags = [], ...options }: ColobusOptions = {}): Program {
    const entry = join(buildRoot, 'test/support/colobus-entry.js');
    const env = { ...process.env, UV_THREADPOOL_SIZE: '32' };
    return Program.start(process.execPath, [...nodeFlags, entry, ...args], {
      env,
      ...options,
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it has written to stderr so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Its first line on stdout; throws with its stderr where it ends without one. */
  async firstLine(): Promise<string> {
    const line = new Promise<string>(resolve => {
      this.#firstLine = resolve;
    });
    return await Promise.race([line, this.#endedEarly()]);
  }

  /** Resolves when the file at `path` holds `content` and no less; throws with its stderr where it ends before. */
  async created(path: string, content: string): Promise<void> {
    const created = new Promise<void>(resolve => {
      const watcher = watch(dirname(path), () => look());
      const look = (): void => {
        if (!existsSync(path) || readFileSync(path, 'utf8') !== content) return;
        watcher.close();
        resolve();
      };
      look();
      void this.#ended.finally(() => watcher.close()).catch(() => {});
    });
    await Promise.race([created, this.#endedEarly()]);
  }

  /** How it ended; throws where that takes longer than `timeoutMs`. */
  ended(timeoutMs: number = END_MS): Promise<ProgramEnd> {
    return withDeadline(this.#ended, timeoutMs, systemClock, `Process ${this.pid} did not end within ${timeoutMs} ms`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async #endedEarly(): Promise<never> {
    const { exitCode, stderr } = await this.ended();
    throw new Error(`Process ${this.pid} ended early with exit code ${exitCode}: ${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }
}
