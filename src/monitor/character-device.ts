/**
 * CharacterDevice: where the clients of a monitor come from: a socket that listens, a stream that is there from the
 * start, or nowhere. Clients that come before somebody is attached wait, and nothing of theirs is read.
 */

import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { deferred } from '../base/deadline.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import { listenOnDescriptor } from '../nbd/server/listen-on-descriptor.ts';
import { listeningOnPort } from '../nbd/server/listening.ts';
import { listenOnPath } from '../nbd/server/unix-socket.ts';
import { formatAddress, type SocketAddress } from './socket-address.ts';

/** One more is disconnected. */
const MAX_CLIENTS = 64;

export class CharacterDevice implements AsyncDisposable {
  readonly id: string;
  /** What it is, as QEMU's query-chardev tells it. */
  readonly filename: string;
  readonly #server: Server | null;
  readonly #clients = new Set<Duplex>();
  #onClient: ((client: Duplex) => void) | null = null;
  #removePath: () => Promise<void> = async () => {};

  private constructor(id: string, filename: string, server: Server | null) {
    this.id = id;
    this.filename = filename;
    this.#server = server;
    server?.on('connection', socket => this.#accept(socket));
  }

  /** Listens on `address`; a unix socket is private to its owner. Throws UsageError where the address is in use. */
  static async listen(id: string, address: SocketAddress): Promise<CharacterDevice> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    const kind = 'path' in address ? 'unix' : 'tcp';
    const device = new CharacterDevice(id, `${kind}:${formatAddress(address)},server=on`, server);
    device.#removePath = await listenOn(server, address);
    server.on('error', () => {});
    return device;
  }

  /** Has the one client at the other end of `stream`, such as standard input and output. */
  static ofStream(id: string, filename: string, stream: Duplex): CharacterDevice {
    const device = new CharacterDevice(id, filename, null);
    device.#accept(stream);
    return device;
  }

  /** Has no client, ever. */
  static empty(id: string): CharacterDevice {
    return new CharacterDevice(id, 'null', null);
  }

  /** True where clients come over a socket, which can be cut. */
  get isSocket(): boolean {
    return /^(unix|tcp):/.test(this.filename);
  }

  /** True where somebody is attached. */
  get isAttached(): boolean {
    return this.#onClient !== null;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Calls `onClient` for each client from now on, and for those that wait. */
  attach(onClient: (client: Duplex) => void): void {
    this.#onClient = onClient;
    for (const client of this.#clients) onClient(client);
  }

  /** Closes the connections of all clients at once; new ones are welcome. */
  disconnectClients(): void {
    for (const client of this.#clients) client.destroy();
  }

  /** Takes no more clients. Those there are stay. */
  async stopListening(): Promise<void> {
    this.#server?.close();
    await this.#removePath();
  }

  /** Says no more to the clients and resolves when they are gone; `disconnectClients` hastens it. */
  async endClients(): Promise<void> {
    await Promise.all([...this.#clients].map(endStream));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopListening();
    this.disconnectClients();
  }

  #accept(client: Duplex): void {
    if (this.#clients.size >= MAX_CLIENTS) {
      client.destroy();
      return;
    }
    this.#clients.add(client);
    client.on('error', () => {});
    client.on('close', () => this.#clients.delete(client));
    this.#onClient?.(client);
  }
}

async function endStream(client: Duplex): Promise<void> {
  if (client.closed) return;
  const closed = deferred<void>();
  client.once('close', () => closed.resolve());
  client.end();
  await closed.promise;
}

async function listenOn(server: Server, address: SocketAddress): Promise<() => Promise<void>> {
  if ('path' in address) return listenOnPath(server, address.path);
  if ('fd' in address) {
    await listenOnDescriptor(server, address.fd);
  } else {
    await listeningOnPort(server, address).catch(cause => {
      const where = formatAddress(address);
      throw new UsageError(`Cannot listen on ${where}: ${messageOf(cause)}; choose another port`, { cause });
    });
  }
  return async () => {};
}
