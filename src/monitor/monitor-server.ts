/** MonitorServer: speaks QMP with the clients of a character device, several at once, each in its own session. */

import type { Duplex } from 'node:stream';
import type { CharacterDevice } from './character-device.ts';
import type { Command } from './command.ts';
import { commands as allCommands } from './commands/index.ts';
import { MonitorSession } from './monitor-session.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import type { QmpEvent } from './protocol/qmp-message.ts';

/** A client gets this long to read its last answers when the server closes. */
const CLOSE_GRACE_MS = 1000;

export type MonitorOptions = {
  /** Messages are laid out for people. */
  readonly pretty?: boolean;
  readonly commands?: readonly Command[];
};

export class MonitorServer implements AsyncDisposable {
  readonly device: CharacterDevice;
  readonly #daemon: MonitoredDaemon;
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #pretty: boolean;
  readonly #sessions = new Map<Duplex, MonitorSession>();

  /** Takes the clients of `device`, which nobody else is attached to. */
  constructor(device: CharacterDevice, daemon: MonitoredDaemon, options: MonitorOptions = {}) {
    const { commands = allCommands, pretty = false } = options;
    this.device = device;
    this.#daemon = daemon;
    this.#commands = new Map(commands.map(command => [command.name, command]));
    this.#pretty = pretty;
    device.attach(client => this.#accept(client));
  }

  /** Sends an event to every client that has negotiated; `wallUs` is when it happened. */
  notify(event: QmpEvent, wallUs: number): void {
    for (const session of this.#sessions.values()) session.notify(event, wallUs);
  }

  /** Takes no more clients, and disconnects those there are once they have read what was sent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.device.stopListening();
    const grace = this.#daemon.clock.after(CLOSE_GRACE_MS, () => this.device.disconnectClients());
    await this.device.endClients();
    grace.cancel();
  }

  #accept(client: Duplex): void {
    client.on('error', error => this.#daemon.logger.debug({ err: error }, 'A monitor client was lost'));
    client.on('close', () => this.#sessions.delete(client));
    this.#sessions.set(client, new MonitorSession(client, this.#commands, this.#daemon, this.#pretty));
    client.resume();
  }
}
