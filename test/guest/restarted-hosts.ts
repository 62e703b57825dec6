/**
 * RestartedHosts: the daemons of a pair that die and are started again on the same images and sockets, while a guest waits.
 *
 * The primary serves its disk only once it replicates: until then writes would fail.
 */

import { open } from 'node:fs/promises';
import { ColobusError } from '../../src/base/errors.ts';
import { formatNbdUri } from '../../src/nbd/uri.ts';
import { Daemon } from '../support/daemon.ts';
import { Program } from '../support/program.ts';
import { type FolderPlace, TemporaryFolder } from '../support/temporary-folder.ts';
import { DISK_BYTES } from './guest-pair.ts';

/** How long a secondary may keep a write waiting, and a flush, in milliseconds. */
const REQUEST_TIMEOUT_MS = 1000;
export const FLUSH_TIMEOUT_MS = 2000;

export class RestartedHosts implements AsyncDisposable {
  #primary: Daemon | null = null;
  #secondary: Daemon | null = null;
  #checkpoint = 0;
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  /** Two empty disks, and a pair running on them. */
  static async start(place: FolderPlace): Promise<RestartedHosts> {
    const hosts = new RestartedHosts(await TemporaryFolder.create(place));
    try {
      for (const image of [hosts.#image('primary'), hosts.#image('secondary')]) {
        await using file = await open(image, 'wx');
        await file.truncate(DISK_BYTES);
      }
      await hosts.startPair();
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  get primary(): Daemon {
    if (this.#primary === null) throw new ColobusError('The primary does not run');
    return this.#primary;
  }

  get secondary(): Daemon {
    if (this.#secondary === null) throw new ColobusError('The secondary does not run');
    return this.#secondary;
  }

  get diskUri(): string {
    const address = { kind: 'unix', path: this.#socket('primary') } as const;
    return formatNbdUri({ address, exportName: 'root', tls: false });
  }

  /** Both daemons, on disks that are equal, and then the guest's export. */
  async startPair(): Promise<void> {
    const directory = this.#folder.path;
    const buffer = { driver: 'colo-buffer', 'node-name': 'buffer', backing: 'disk' };
    const secondaryArgs = [...this.#disk('secondary'), ...blockdev(buffer)];
    secondaryArgs.push('--nbd-server', `addr.type=unix,addr.path=${this.#socket('secondary')}`);
    secondaryArgs.push('--export', 'nbd,id=replica,node-name=disk,name=replica,writable=on');
    this.#secondary = await Daemon.start({ directory, name: 'secondary', args: secondaryArgs });
    const server = { type: 'unix', path: this.#socket('secondary') };
    const link = { driver: 'nbd', 'node-name': 'link', server, export: 'replica' };
    const root = { driver: 'replication', 'node-name': 'root', children: ['disk', 'link'] };
    const timeouts = { 'request-timeout': REQUEST_TIMEOUT_MS, 'flush-timeout': FLUSH_TIMEOUT_MS };
    const primaryArgs = [...this.#disk('primary'), ...blockdev({ ...link, ...timeouts })];
    primaryArgs.push(...blockdev(root));
    this.#primary = await Daemon.start({ directory, name: 'primary', args: primaryArgs });
    await this.secondary.qmp.execute('replication-start', { nodes: ['buffer'] });
    await this.primary.qmp.execute('replication-start', { nodes: ['root'] });
    await this.#serve('root');
  }

  /** The primary without a secondary: its disk is exported as it is. */
  async startAlone(): Promise<void> {
    const directory = this.#folder.path;
    this.#primary = await Daemon.start({ directory, name: 'primary', args: this.#disk('primary') });
    await this.#serve('disk');
  }

  /** Makes the secondary's disk equal to the primary's again. Neither daemon runs. */
  async copyDisk(): Promise<void> {
    await using copy = Program.colobus(['copy', this.#image('primary'), this.#image('secondary')]);
    const { exitCode, stderr } = await copy.ended();
    if (exitCode !== 0) throw new ColobusError(`The copy failed: ${stderr}`);
  }

  async killPrimary(): Promise<void> {
    const { primary } = this;
    this.#primary = null;
    await primary.kill('SIGKILL');
    await primary[Symbol.asyncDispose]();
  }

  async killSecondary(): Promise<void> {
    const { secondary } = this;
    this.#secondary = null;
    await secondary.kill('SIGKILL');
    await secondary[Symbol.asyncDispose]();
  }

  /** The state of the primary's replication node. */
  async state(): Promise<string> {
    const [report] = await this.primary.qmp.execute<{ state: string }[]>('query-replication');
    if (report === undefined) throw new ColobusError('The primary does not replicate');
    return report.state;
  }

  async checkpoint(): Promise<void> {
    this.#checkpoint += 1;
    const onPrimary = { nodes: ['root'], checkpoint: this.#checkpoint };
    const onSecondary = { nodes: ['buffer'], checkpoint: this.#checkpoint };
    const { qmp: primary } = this.primary;
    const { writes } = await primary.execute<{ writes: object }>('replication-checkpoint-prepare', onPrimary);
    await this.secondary.qmp.execute('replication-checkpoint-prepare', { ...onSecondary, writes });
    await primary.execute('replication-resume', onPrimary);
    await this.secondary.qmp.execute('replication-checkpoint-do', onSecondary);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#primary?.[Symbol.asyncDispose]();
    await this.#secondary?.[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  async #serve(node: string): Promise<void> {
    const { qmp } = this.primary;
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path: this.#socket('primary') } } });
    const names = { id: 'root', name: 'root', 'node-name': node };
    await qmp.execute('block-export-add', { type: 'nbd', ...names, writable: true });
  }

  #disk(side: 'primary' | 'secondary'): string[] {
    return blockdev({ driver: 'file', 'node-name': 'disk', filename: this.#image(side) });
  }

  #image(side: 'primary' | 'secondary'): string {
    return this.#folder.file(`${side}.img`);
  }

  #socket(side: 'primary' | 'secondary'): string {
    return this.#folder.file(`${side}.nbd`);
  }
}

function blockdev(definition: object): string[] {
  return ['--blockdev', JSON.stringify(definition)];
}
