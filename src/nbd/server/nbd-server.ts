/** NbdServer: listens on a TCP port or unix socket and serves exports to NBD clients. */

import { createServer, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../base/clock.ts';
import { EBUSY } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { type Logger, silentLogger } from '../../base/logger.ts';
import type { ReceiveMode } from './accepted-socket.ts';
import type { ExportDirectory } from './handshake-state.ts';
import { DEFAULT_MAX_CONNECTIONS, STOP_DEADLINE_MS } from './limits.ts';
import { listening } from './listening.ts';
import { NbdConnection, type TlsPolicy } from './nbd-connection.ts';
import type { NbdExport } from './nbd-export.ts';
import { listenOnPath } from './unix-socket.ts';

/** A unix socket's path, or a TCP address; port 0 takes any free port. */
export type NbdAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export type NbdServerOptions = {
  /** More clients at once are turned away; 1024 unless given. */
  readonly maxConnections?: number;
  /** Without it clients cannot encrypt. */
  readonly tls?: TlsPolicy;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** How bytes are received; `copy` is for systems where the faster way does not work. */
  readonly receiveMode?: ReceiveMode;
};

export class NbdServer implements AsyncDisposable, ExportDirectory {
  readonly #listener: Server;
  readonly #options: NbdServerOptions;
  #address: NbdAddress;
  #removePath: () => Promise<void> = async () => {};
  readonly #exports = new Map<string, NbdExport>();
  readonly #connections = new Set<NbdConnection>();
  #stopped: Promise<void> | null = null;

  private constructor(listener: Server, address: NbdAddress, options: NbdServerOptions) {
    this.#listener = listener;
    this.#address = address;
    this.#options = options;
    // Before it listens: a client may connect in the moment in which the address appears.
    listener.on('connection', socket => this.#accept(socket));
  }

  /**
   * Listens at `address`; a unix socket's path appears once it can be connected to and is private to the user. Throws
   * UsageError, having changed nothing, where the address is in use or cannot be used.
   */
  static async listen(address: NbdAddress, options: NbdServerOptions = {}): Promise<NbdServer> {
    const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true, keepAlive: true });
    const server = new NbdServer(listener, address, options);
    if ('path' in address) {
      server.#removePath = await listenOnPath(listener, address.path);
    } else {
      await listening(listener, { host: address.host, port: address.port }).catch(cause => {
        throw explainTcpError(address.host, address.port, cause);
      });
      const bound = listener.address();
      if (bound === null || typeof bound === 'string') throw new ColobusError('The listener has no TCP address');
      server.#address = { host: address.host, port: bound.port };
    }
    listener.on('error', error => server.#logger.error({ error }, 'NBD server cannot accept a connection'));
    return server;
  }

  /** Where it listens; the port is the one it got. */
  get address(): NbdAddress {
    return this.#address;
  }

  /** How many clients are connected, those in the handshake included. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The NBD URI of an export of this server. */
  uri(exportName: string): string {
    const name = encodeURIComponent(exportName);
    if ('path' in this.address)
      return `nbd+unix:///${name}?socket=${encodeURIComponent(this.address.path).replaceAll('%2F', '/')}`;
    const { host, port } = this.address;
    return `nbd://${host.includes(':') ? `[${host}]` : host}:${port}/${name}`;
  }

  /** From now on clients find `added` by its name. Throws UsageError where the name is taken. */
  addExport(added: NbdExport): void {
    if (this.find(added.name) !== undefined) {
      throw new UsageError(`NBD server already has an export named '${added.name}'; choose another name`, {
        errno: EBUSY,
      });
    }
    this.#exports.set(added.name, added);
  }

  /** From now on clients do not find `removed`; those it has stay until it is closed. */
  removeExport(removed: NbdExport): void {
    if (this.#exports.get(removed.name) === removed) this.#exports.delete(removed.name);
  }

  /** The export called `name`, unless it is being closed. */
  find(name: string): NbdExport | undefined {
    const found = this.#exports.get(name);
    return found?.isOpen === true ? found : undefined;
  }

  /** The exports that clients can use now. */
  list(): readonly NbdExport[] {
    return [...this.#exports.values()].filter(({ isOpen }) => isOpen);
  }

  /** Stops listening, waits a while for requests in flight and disconnects all clients. Exports stay the caller's. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    // It would wait for sockets that it lost sight of when they were wrapped anew, so nobody waits for it.
    this.#listener.close();
    await this.#removePath();
    await Promise.all([...this.#connections].map(connection => connection.stop(STOP_DEADLINE_MS)));
  }

  #accept(socket: Socket): void {
    const { maxConnections = DEFAULT_MAX_CONNECTIONS } = this.#options;
    if (this.#stopped !== null || this.#connections.size >= maxConnections) {
      if (this.#stopped === null) this.#logger.warn({ maxConnections }, 'NBD client was turned away: too many clients');
      socket.destroy();
      return;
    }
    const connection = new NbdConnection(socket, {
      directory: this,
      tls: this.#options.tls ?? null,
      clock: this.#options.clock ?? systemClock,
      logger: this.#logger,
      receiveMode: this.#options.receiveMode ?? 'in-place',
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
  }

  get #logger(): Logger {
    return this.#options.logger ?? silentLogger;
  }
}

function explainTcpError(host: string, port: number, cause: unknown): UsageError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'EADDRINUSE':
      return new UsageError(`Port ${port} on ${host} is in use; choose another port or stop what listens there`, {
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new UsageError(`Address ${host} is not one of this host; listen on another`, { cause });
    case 'EACCES':
      return new UsageError(`Port ${port} on ${host} needs more rights; choose one of 1024 or more`, { cause });
    default:
      return new UsageError(`Cannot listen on ${host} port ${port}: ${messageOf(cause)}`, { cause });
  }
}
