/** NbdServer: listens on a TCP port or unix socket and serves exports to NBD clients. */

import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../../base/clock.ts';
import { EBUSY } from '../../base/errno.ts';
import { ColobusError, messageOf, UsageError } from '../../base/errors.ts';
import { type Logger, silentLogger } from '../../base/logger.ts';
import type { ReceiveMode } from './accepted-socket.ts';
import { AddressFilter } from './address-filter.ts';
import type { ExportDirectory } from './handshake-state.ts';
import { DEFAULT_MAX_CONNECTIONS, STOP_DEADLINE_MS } from './limits.ts';
import { listenOnDescriptor } from './listen-on-descriptor.ts';
import { listeningOnPort } from './listening.ts';
import { NbdConnection, type TlsPolicy } from './nbd-connection.ts';
import type { NbdExport } from './nbd-export.ts';
import { listenOnPath } from './unix-socket.ts';

/**
 * A unix socket's path, or an abstract name where it begins with NUL, or a TCP address. Port 0 takes any free port;
 * where the port is in use, those up to `lastPort` are tried.
 */
export type NbdAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly lastPort?: number };

/** Where to listen: at an address, or on a socket that listens already, such as one of systemd's. */
export type NbdPlace = NbdAddress | { readonly fd: number };

export type NbdServerOptions = {
  /** More clients at once are turned away; 1024 unless given. */
  readonly maxConnections?: number;
  /** Without it clients cannot encrypt. */
  readonly tls?: TlsPolicy;
  /** Addresses and networks that TCP clients may come from, such as 10.0.0.0/8; all where it is left out. */
  readonly allow?: readonly string[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** How bytes are received; `copy` is for systems where the faster way does not work. */
  readonly receiveMode?: ReceiveMode;
};

const LISTENER_OPTIONS = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true, keepAlive: true };

export class NbdServer implements AsyncDisposable, ExportDirectory {
  readonly #listener: Server = createServer(LISTENER_OPTIONS);
  readonly #options: NbdServerOptions;
  readonly #filter: AddressFilter | null;
  #address: NbdAddress | null = null;
  #removePath: () => Promise<void> = async () => {};
  readonly #exports = new Map<string, NbdExport>();
  readonly #connections = new Set<NbdConnection>();
  #stopped: Promise<void> | null = null;

  /** Listens nowhere yet: it serves what is given to `attach`. Throws UsageError where `allow` has a bad rule. */
  constructor(options: NbdServerOptions = {}) {
    this.#options = options;
    this.#filter = options.allow === undefined ? null : new AddressFilter(options.allow);
    // Before it listens: a client may connect in the moment in which the address appears.
    this.#listener.on('connection', socket => this.#accept(socket));
  }

  /** A server that listens at `place`. Throws UsageError, having changed nothing, where it cannot. */
  static async listen(place: NbdPlace, options: NbdServerOptions = {}): Promise<NbdServer> {
    const server = new NbdServer(options);
    await server.listenAt(place);
    return server;
  }

  /**
   * Listens at `place`, once; whoever has exports for the first client adds them before. A unix socket's path appears
   * once it can be connected to and is private to the user. Throws UsageError, having changed nothing, where the address
   * is in use or cannot be used.
   */
  async listenAt(place: NbdPlace): Promise<void> {
    this.#address = await this.#listenAt(place);
    this.#listener.on('error', error => this.#logger.error({ error }, 'NBD server cannot accept a connection'));
  }

  async #listenAt(place: NbdPlace): Promise<NbdAddress> {
    const listener = this.#listener;
    if ('path' in place) {
      this.#removePath = await listenOnPath(listener, place.path);
      return place;
    }
    if ('fd' in place) return listenOnDescriptor(listener, place.fd);
    await listeningOnPort(listener, place).catch(cause => {
      throw explainTcpError(place.host, place.port, cause);
    });
    const bound = listener.address();
    if (bound === null || typeof bound === 'string') throw new ColobusError('The listener has no TCP address');
    return { host: place.host, port: bound.port };
  }

  /** Where it listens; the port is the one it got. Throws where it listens nowhere. */
  get address(): NbdAddress {
    if (this.#address === null) throw new ColobusError('The NBD server listens nowhere');
    return this.#address;
  }

  /** Serves the client at the other end of `stream`; resolves when it is gone. */
  async attach(stream: Duplex): Promise<void> {
    await this.#serve(stream)?.closed;
  }

  /** How many clients are connected, those in the handshake included. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The NBD URI of an export of this server. */
  uri(exportName: string): string {
    const name = encodeURIComponent(exportName);
    const scheme = this.#options.tls?.mode === 'require' ? 'nbds' : 'nbd';
    const { address } = this;
    if ('path' in address) {
      return `${scheme}+unix:///${name}?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`;
    }
    const { host, port } = address;
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}/${name}`;
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
    const stopped = [...this.#connections].map(connection => connection.stop(STOP_DEADLINE_MS));
    await this.#removePath();
    await Promise.all(stopped);
  }

  #accept(socket: Socket): void {
    const { remoteAddress } = socket;
    if (this.#filter !== null && remoteAddress !== undefined && !this.#filter.admits(remoteAddress)) {
      this.#logger.warn({ remoteAddress }, 'NBD client was turned away: its address is not allowed');
      socket.destroy();
      return;
    }
    this.#serve(socket);
  }

  /** The client's connection, or null where it was turned away. */
  #serve(stream: Duplex): NbdConnection | null {
    const { maxConnections = DEFAULT_MAX_CONNECTIONS } = this.#options;
    if (this.#stopped !== null || this.#connections.size >= maxConnections) {
      if (this.#stopped === null) this.#logger.warn({ maxConnections }, 'NBD client was turned away: too many clients');
      stream.destroy();
      return null;
    }
    const connection = new NbdConnection(stream, {
      directory: this,
      tls: this.#options.tls ?? null,
      clock: this.#options.clock ?? systemClock,
      logger: this.#logger,
      receiveMode: this.#options.receiveMode ?? 'in-place',
    });
    this.#connections.add(connection);
    void connection.closed.then(() => this.#connections.delete(connection));
    return connection;
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
