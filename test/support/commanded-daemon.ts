/**
 * CommandedDaemon: a Colobus daemon to which a test adds nodes and exports, and which takes them away again.
 *
 * One process serves the cases of a file: each begins with an empty graph.
 */

import type { NodeDefinition } from '../../src/block/driver.ts';
import type { QmpClient } from '../../src/monitor/index.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { Daemon } from './daemon.ts';
import { TemporaryFolder } from './temporary-folder.ts';

export class CommandedDaemon implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly daemon: Daemon;
  readonly #nodes: string[] = [];
  readonly #exports: string[] = [];
  readonly #clients: NbdClient[] = [];

  private constructor(folder: TemporaryFolder, daemon: Daemon) {
    this.folder = folder;
    this.daemon = daemon;
  }

  static async start(name = 'daemon'): Promise<CommandedDaemon> {
    const folder = await TemporaryFolder.create('memory');
    const args = ['--nbd-server', `addr.type=unix,addr.path=${folder.file(`${name}.nbd`)}`];
    try {
      return new CommandedDaemon(folder, await Daemon.start({ directory: folder.path, name, args }));
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw error;
    }
  }

  get qmp(): QmpClient {
    return this.daemon.qmp;
  }

  /** Where its NBD server listens. */
  get nbdPath(): string {
    return this.daemon.monitorPath.replace(/qmp$/, 'nbd');
  }

  async add(name: string, definition: NodeDefinition): Promise<void> {
    await this.qmp.execute('blockdev-add', { 'node-name': name, ...definition });
    this.#nodes.push(name);
  }

  /** Exports a node under its own name, writable unless `options` say otherwise, and connects to it. */
  async open(name: string, options: { readonly writable?: boolean } = {}): Promise<NbdClient> {
    const { writable = true } = options;
    await this.qmp.execute('block-export-add', { type: 'nbd', id: name, 'node-name': name, writable });
    this.#exports.push(name);
    return await this.connect(name);
  }

  async connect(name: string): Promise<NbdClient> {
    const client = await NbdClient.connect(`nbd+unix:///${name}?socket=${this.nbdPath}`);
    this.#clients.push(client);
    return client;
  }

  /** Ends replication, and takes away every export and node that is still there. */
  async clear(): Promise<void> {
    await Promise.allSettled(this.#clients.splice(0).map(client => client[Symbol.asyncDispose]()));
    for (const id of this.#exports.splice(0)) {
      await this.qmp.execute('block-export-del', { id, mode: 'hard' }).catch(() => {}); // A take-over has closed it.
    }
    for (const primary of [true, false]) {
      await this.qmp.execute('xen-set-replication', { enable: false, primary }).catch(() => {}); // It did not run.
    }
    for (const name of this.#nodes.splice(0).reverse()) await this.qmp.execute('blockdev-del', { 'node-name': name });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#clients.map(client => client[Symbol.asyncDispose]()));
    await this.daemon[Symbol.asyncDispose]();
    await this.folder[Symbol.asyncDispose]();
  }
}
