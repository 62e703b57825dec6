/** MonitorServer: a socket on which clients speak QMP with the daemon, several at once, each in its own session. */

import { createServer, type Server, type Socket } from 'node:net';
import { deferred } from '../base/deadline.ts';
import { messageOf, UsageError } from '../base/errors.ts';
import { listening } from '../nbd/server/listening.ts';
import { listenOnPath } from '../nbd/server/unix-socket.ts';
import type { Command } from './command.ts';
import { commands as allCommands } from './commands/index.ts';
import { MonitorSession } from './monitor-session.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import type { QmpEvent } from './protocol/qmp-message.ts';
import { formatAddress, type SocketAddress } from './socket-address.ts';

/** One more is disconnected. */
const MAX_CLIENTS = 64;
/** A client gets this long to read its last answers when the server closes. */
const CLOSE_GRACE_MS = 1000;

export class MonitorServer implements AsyncDisposable {
  readonly #daemon: MonitoredDaemon;
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #server: Server;
  readonly #sessions = new Map<Socket, MonitorSession>();
  #removePath: () => Promise<void> = async () => {};

  private constructor(daemon: MonitoredDaemon, commands: readonly Command[]) {
    this.#daemon = daemon;
    this.#commands = new Map(commands.map(command => [command.name, command]));
    this.#server = createServer({ allowHalfOpen: true }, socket => this.#accept(socket));
  }

  /** Listens on `address`; a unix socket is private to its owner. Throws UsageError where the address is in use. */
  static async listen(
    address: SocketAddress,
    daemon: MonitoredDaemon,
    commands: readonly Command[] = allCommands,
  ): Promise<MonitorServer> {
    const monitor = new MonitorServer(daemon, commands);
    if ('path' in address) {
      monitor.#removePath = await listenOnPath(monitor.#server, address.path);
    } else {
      await listening(monitor.#server, address).catch(cause => {
        const where = formatAddress(address);
        throw new UsageError(`Monitor cannot listen on ${where}: ${messageOf(cause)}; choose another port`, { cause });
      });
    }
    return monitor;
  }

  /** Sends an event to every client that has negotiated; `wallUs` is when it happened. */
  notify(event: QmpEvent, wallUs: number): void {
    for (const session of this.#sessions.values()) session.notify(event, wallUs);
  }

  /** Closes the connections of all clients at once; new ones are welcome. */
  disconnectClients(): void {
    for (const socket of this.#sessions.keys()) socket.destroy();
  }

  /** Takes no more clients, and disconnects those there are once they have read what was sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = deferred<void>();
    this.#server.close(() => closed.resolve());
    await this.#removePath();
    for (const socket of this.#sessions.keys()) socket.end();
    const grace = this.#daemon.clock.after(CLOSE_GRACE_MS, () => {
      for (const socket of this.#sessions.keys()) socket.destroy();
    });
    await closed.promise;
    grace.cancel();
  }

  #accept(socket: Socket): void {
    if (this.#sessions.size >= MAX_CLIENTS) {
      this.#daemon.logger.warn({ clients: MAX_CLIENTS }, 'A monitor client was turned away');
      socket.destroy();
      return;
    }
    socket.on('error', error => this.#daemon.logger.debug({ err: error }, 'A monitor client was lost'));
    socket.on('close', () => this.#sessions.delete(socket));
    this.#sessions.set(socket, new MonitorSession(socket, this.#commands, this.#daemon));
  }
}
