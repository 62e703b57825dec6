/**
 * QemuPair: QEMU's own COLO replication as a peer (peers/qemu-colo-pair.py), with a deadline on everything.
 *
 * A pair that has failed over is of no further use; start a new one, which takes about 0.3 s. A checkpoint must be
 * quiesced: with writes in flight QEMU 7.2 may abort.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { systemClock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { ColobusError } from '../../src/base/errors.ts';
import { projectRoot } from './project.ts';

const START_MS = 30_000;
const ANSWER_MS = 30_000;
const EXIT_MS = 15_000;

const bothSides = <Item extends z.ZodType>(item: Item) => z.object({ primary: item, secondary: item });
const greetingSchema = z.object({
  primary: z.string(),
  view: z.string(),
  pids: bothSides(z.number()),
  images: bothSides(z.string()),
});
const checkpointSchema = z.object({ secondary_ms: z.number(), errors: z.array(z.string()) });
const failoverSchema = z.object({ commit_ms: z.number(), errors: z.array(z.string()) });

export type QemuPairOptions = {
  /** An empty or missing folder for the sockets. */
  readonly directory: string;
  readonly sizeBytes: number;
  readonly link: 'unix' | 'tcp';
  /** An existing folder for the images; memory (/dev/shm) unless given. */
  readonly disks?: string;
};

export class QemuPair implements AsyncDisposable {
  /** URI of the replicated disk. */
  readonly primaryUri: string;
  /** URI of the standby's view, writable. */
  readonly viewUri: string;
  readonly pids: Readonly<Record<'primary' | 'secondary', number>>;
  /** Paths of the raw disks, readable while the pair runs. */
  readonly images: Readonly<Record<'primary' | 'secondary', string>>;
  readonly #process: PeerProcess;

  private constructor(peer: PeerProcess, greeting: z.infer<typeof greetingSchema>) {
    this.#process = peer;
    this.primaryUri = greeting.primary;
    this.viewUri = greeting.view;
    this.pids = greeting.pids;
    this.images = greeting.images;
  }

  static async start(options: QemuPairOptions): Promise<QemuPair> {
    const peer = new PeerProcess(options);
    try {
      return new QemuPair(peer, greetingSchema.parse(await peer.nextLine(START_MS)));
    } catch (error) {
      await peer.end();
      throw new ColobusError(`The QEMU pair did not start; ${peer.complaints || 'it said nothing'}`, { cause: error });
    }
  }

  /** A checkpoint of both sides; milliseconds that the secondary took. */
  async checkpoint(): Promise<number> {
    const answer = checkpointSchema.parse(await this.#ask('checkpoint'));
    refuseErrors('checkpoint', answer.errors);
    return answer.secondary_ms;
  }

  /** The secondary takes over with the checkpoint image; resolves when its commit is done, with its milliseconds. */
  async failover(): Promise<number> {
    const answer = failoverSchema.parse(await this.#ask('failover'));
    refuseErrors('failover', answer.errors);
    return answer.commit_ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end();
  }

  async #ask(word: string): Promise<unknown> {
    this.#process.say(word);
    return await this.#process.nextLine(ANSWER_MS);
  }
}

function refuseErrors(what: string, errors: readonly string[]): void {
  if (errors.length > 0) throw new ColobusError(`QEMU refused the ${what}: ${errors.join('; ')}`);
}

/** The Python program with its two QEMUs: a process group of its own, so that nothing of it can be left behind. */
class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exited: Promise<void>;
  readonly #disks: string;
  #complaints = '';

  constructor({ directory, sizeBytes, link, disks = '/dev/shm' }: QemuPairOptions) {
    const program = resolve(projectRoot, 'peers/qemu-colo-pair.py');
    const args = [program, directory, String(sizeBytes), link, disks];
    const child = spawn('/usr/bin/python3', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    this.#disks = disks;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#exited = new Promise(onExit => {
      child.once('close', () => onExit());
      child.once('error', error => {
        this.#complaints += error.message;
        onExit();
      });
    });
    child.stdin.on('error', () => {}); // It has ended; the next line that is missing says so.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
    });
  }

  get complaints(): string {
    return this.#complaints.trim();
  }

  say(word: string): void {
    this.#child.stdin?.write(`${word}\n`);
  }

  async nextLine(timeoutMs: number): Promise<unknown> {
    const line = await withDeadline(this.#lines.next(), timeoutMs, systemClock, 'The QEMU pair does not answer');
    if (line.done === true) throw new ColobusError(`The QEMU pair has ended; ${this.complaints || 'it said nothing'}`);
    return JSON.parse(line.value);
  }

  /** End of input stops the pair; what does not stop is killed. QEMU 7.2 now and then hangs when it is told to quit. */
  async end(): Promise<void> {
    const { pid } = this.#child;
    this.#child.stdin?.end();
    await withDeadline(this.#exited, EXIT_MS, systemClock, 'The QEMU pair does not stop').catch(() => {});
    if (pid === undefined) return;
    killGroup(pid);
    await rm(join(this.#disks, `qemu-colo-${pid}`), { recursive: true, force: true });
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody of the group is left.
  }
}
