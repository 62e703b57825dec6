/** ServedDisk: a HeldNode exported by an NBD server of its own, for tests of the server. */

import type { Clock } from '../../src/base/clock.ts';
import { NbdExport } from '../../src/nbd/server/nbd-export.ts';
import { NbdServer, type NbdServerOptions } from '../../src/nbd/server/nbd-server.ts';
import { HeldNode, type HeldNodeOptions } from './held-node.ts';
import { RawNbdClient, type Wanted } from './raw-nbd-client.ts';
import { TemporaryFolder } from './temporary-folder.ts';

export type ServedDiskOptions = HeldNodeOptions & {
  readonly writable?: boolean;
  readonly writethrough?: boolean;
  readonly description?: string;
  readonly allocationDepth?: boolean;
  readonly server?: NbdServerOptions;
  readonly clock?: Clock;
};

/** The name of the one export. */
const EXPORT_NAME = 'disk';

export class ServedDisk implements AsyncDisposable {
  readonly node: HeldNode;
  readonly nbdExport: NbdExport;
  readonly server: NbdServer;
  readonly path: string;
  readonly #folder: TemporaryFolder;
  readonly #clients: RawNbdClient[] = [];

  private constructor(node: HeldNode, nbdExport: NbdExport, server: NbdServer, path: string, folder: TemporaryFolder) {
    this.node = node;
    this.nbdExport = nbdExport;
    this.server = server;
    this.path = path;
    this.#folder = folder;
  }

  static async open(options: ServedDiskOptions = {}): Promise<ServedDisk> {
    const { writable = true, writethrough = false, description = '', allocationDepth = false, clock } = options;
    const timed = clock === undefined ? {} : { clock };
    const node = new HeldNode(options);
    const folder = await TemporaryFolder.create('memory');
    const path = folder.file('socket');
    const server = await NbdServer.listen({ path }, { ...timed, ...options.server });
    const nbdExport = NbdExport.open({
      ...{ id: 'e0', name: EXPORT_NAME, description, node, writable, writethrough, allocationDepth },
      ...timed,
    });
    server.addExport(nbdExport);
    return new ServedDisk(node, nbdExport, server, path, folder);
  }

  /** A client that has said nothing yet. */
  async connect(): Promise<RawNbdClient> {
    return this.#keep(await RawNbdClient.connect(this.path));
  }

  /** A client ready to send commands. */
  async attach(wanted: Wanted = {}): Promise<RawNbdClient> {
    return this.#keep(await RawNbdClient.attach(this.path, EXPORT_NAME, wanted));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client[Symbol.dispose]();
    this.node.letGo();
    await this.server[Symbol.asyncDispose]();
    await this.nbdExport[Symbol.asyncDispose]();
    await this.#folder[Symbol.asyncDispose]();
  }

  #keep(client: RawNbdClient): RawNbdClient {
    this.#clients.push(client);
    return client;
  }
}
