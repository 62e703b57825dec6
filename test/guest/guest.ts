/**
 * Guest: a real Linux in qemu-system-x86_64, with a virtio-blk disk on an NBD export; tools/guest/init is its only program.
 *
 * It is commanded over its serial line. Lines it said are kept, with their time.
 */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { systemClock } from '../../src/base/clock.ts';
import { type Deferred, deferred, withDeadline } from '../../src/base/deadline.ts';
import { messageOf } from '../../src/base/errors.ts';
import { GuestImage } from '../../tools/guest/guest-image.ts';
import { boundCommand } from '../support/bound-command.ts';
import { optionsOf } from '../support/nbd-options.ts';
import { projectRoot } from '../support/project.ts';
import { type Accelerator, accelerator } from './accelerator.ts';

/** Under emulation a boot takes three to four seconds on an idle machine. */
const BOOT_MS = 60_000;
/** A guest that KVM really runs is ready after one. */
const TRIAL_MS = 4_000;
const COMMAND_MS = 30_000;
/** QEMU may wait for half a minute before it tries again to connect. */
const RECORDS_MS = 60_000;
const END_MS = 10_000;

/** What is said for the kernel to start quickly and with little to say. */
const KERNEL_ARGUMENTS =
  'console=ttyS0 quiet loglevel=1 panic=-1 nokaslr mitigations=off cryptomgr.notests no_timer_check edd=off ' +
  'random.trust_cpu=on rcupdate.rcu_expedited=1 8250.nr_uarts=1 audit=0 lpj=10000000 tsc=reliable';

export type GuestOptions = {
  /** NBD URI of the export that is its disk; a guest without one boots and no more. */
  readonly diskUri?: string;
  /** Seconds for which requests wait for a lost connection; 60. */
  readonly reconnectDelayS?: number;
};

export type GuestLine = { readonly text: string; readonly atMs: number };

type Wait = { readonly matches: (text: string) => boolean; readonly found: Deferred<GuestLine> };
type Process = ChildProcessByStdio<Writable, Readable, Readable>;

export class Guest implements AsyncDisposable {
  /** Complete lines, in order. */
  readonly lines: GuestLine[] = [];
  readonly #process: Process;
  readonly #ended: Promise<unknown>;
  readonly #waits = new Set<Wait>();
  #rest = '';
  #complaints = '';

  private constructor(options: GuestOptions, way: Accelerator) {
    const command = boundCommand('qemu-system-x86_64', qemuArguments(options, way));
    this.#process = spawn(...command, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#ended = once(this.#process, 'close').then(() => this.#failWaits());
    this.#ended.catch(() => {});
    this.#process.stdin.on('error', () => {});
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => this.#heard(text));
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaints += text;
    });
  }

  /** Resolves when it takes commands. */
  static async boot(options: GuestOptions): Promise<Guest> {
    const way = await accelerator(candidate => Guest.#runsWith(candidate));
    return await Guest.#start(options, way, BOOT_MS);
  }

  /** True where a guest without a disk gets as far as its first line in time. */
  static async #runsWith(way: Accelerator): Promise<boolean> {
    try {
      await using _trial = await Guest.#start({}, way, TRIAL_MS);
      return true;
    } catch {
      return false;
    }
  }

  static async #start(options: GuestOptions, way: Accelerator, timeoutMs: number): Promise<Guest> {
    const guest = new Guest(options, way);
    try {
      await guest.#says(text => text === 'ready', timeoutMs, 'ready');
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The lines without their times. */
  texts(): readonly string[] {
    return this.lines.map(line => line.text);
  }

  /** Carries out a command of tools/guest/init; throws where it fails. Returns the lines it printed meanwhile. */
  async command(command: string, timeoutMs: number = COMMAND_MS): Promise<readonly string[]> {
    const before = this.lines.length;
    const status = await this.status(command, timeoutMs);
    const printed = this.lines.slice(before).map(line => line.text);
    if (status !== 0) throw new Error(`The guest's '${command}' ended with ${status}:\n${printed.join('\n')}`);
    return printed;
  }

  /** The exit status of a command. */
  async status(command: string, timeoutMs: number = COMMAND_MS): Promise<number> {
    const prefix = `done ${command.split(' ')[0]} `;
    const answered = this.#says(text => text.startsWith(prefix), timeoutMs, prefix);
    this.#process.stdin.write(`${command}\n`);
    return Number((await answered).text.slice(prefix.length));
  }

  /** Resolves when `count` more records have been acknowledged. */
  async acknowledges(count: number): Promise<void> {
    let missing = count;
    await this.#says(
      text => {
        if (text.startsWith('ack ')) missing -= 1;
        return missing === 0;
      },
      RECORDS_MS,
      `${count} records acknowledged`,
    );
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await withDeadline(this.#ended, END_MS, systemClock, `QEMU did not end within ${END_MS} ms of SIGKILL`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #says(matches: (text: string) => boolean, timeoutMs: number, what: string): Promise<GuestLine> {
    const wait: Wait = { matches, found: deferred<GuestLine>() };
    this.#waits.add(wait);
    const message = `The guest did not say '${what}' within ${timeoutMs} ms`;
    try {
      return await withDeadline(wait.found.promise, timeoutMs, systemClock, message);
    } catch (error) {
      const last = this.lines.slice(-20).map(line => line.text);
      const said = `${last.join('\n')}\n${this.#rest}\n${this.#complaints}`;
      throw new Error(`${messageOf(error)}; its last words:\n${said}`, { cause: error });
    } finally {
      this.#waits.delete(wait);
    }
  }

  #heard(text: string): void {
    const parts = (this.#rest + text).split(/\r*\n/);
    this.#rest = parts.pop() ?? '';
    for (const part of parts) {
      const line = { text: part, atMs: performance.now() };
      this.lines.push(line);
      for (const wait of this.#waits) {
        if (wait.matches(part)) wait.found.resolve(line);
      }
    }
  }

  #failWaits(): void {
    for (const wait of this.#waits) wait.found.reject(new Error('QEMU has ended'));
  }
}

function qemuArguments({ diskUri, reconnectDelayS = 60 }: GuestOptions, way: Accelerator): string[] {
  const { kernel, initramfs } = GuestImage.of(projectRoot).paths();
  const machine = 'q35,smm=off,hpet=off,vmport=off,i8042=off,sata=off,usb=off';
  const args = ['-machine', `${machine},accel=${way}`, '-cpu', way === 'kvm' ? 'host' : 'max', '-m', '128'];
  args.push('-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio');
  args.push('-kernel', kernel, '-initrd', initramfs, '-append', KERNEL_ARGUMENTS);
  if (diskUri === undefined) return args;
  const { address, exportName } = optionsOf(diskUri);
  if (address.kind !== 'unix') throw new Error(`${diskUri}: the guest's disk is reached over a unix socket`);
  const server = { type: 'unix', path: address.path };
  const disk = { driver: 'nbd', 'node-name': 'disk', server, export: exportName, 'reconnect-delay': reconnectDelayS };
  args.push('-blockdev', JSON.stringify(disk), '-device', 'virtio-blk-pci,drive=disk');
  return args;
}
