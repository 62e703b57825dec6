/**
 * MonitorSession: one client of a monitor.
 *
 * Its in-band commands run strictly in order, one at a time; other clients' commands run meanwhile. Bounded both ways:
 * nothing is read while requests wait, the next command starts only when the client has read earlier answers, and a
 * client that lets events pile up is disconnected.
 */

import type { Duplex } from 'node:stream';
import type { Command } from './command.ts';
import type { MonitoredDaemon } from './monitored-daemon.ts';
import { makeNegotiation } from './negotiation.ts';
import { indentJson } from './protocol/indent-json.ts';
import { JsonReader } from './protocol/json-reader.ts';
import type { JsonValue } from './protocol/json-value.ts';
import { QmpError } from './protocol/qmp-error.ts';
import {
  decodeRequest,
  encodeError,
  encodeEvent,
  encodeGreeting,
  encodeReturn,
  encodeSyntaxError,
  idOf,
  type QmpEvent,
  type QmpRequest,
} from './protocol/qmp-message.ts';

/** While this many requests wait, the session reads no more of them. */
const MAX_WAITING_REQUESTS = 8;
/** While this many bytes of answers wait for the client to read them, no further command starts. */
const MAX_UNREAD_ANSWER_BYTES = 256 * 1024;
/** After so long in a row a client that keeps the daemon busy makes way for the others. */
const MAX_TURN_MS = 1;
/** A client with this many unread bytes, which only events can make, is disconnected. */
export const MAX_UNREAD_BYTES: number = 4 * 1024 * 1024;

/** What waits its turn: a request, or bytes that were none. */
type Waiting = { readonly message: JsonValue } | { readonly syntaxError: string };

export class MonitorSession {
  readonly #socket: Duplex;
  readonly #commands: ReadonlyMap<string, Command>;
  readonly #daemon: MonitoredDaemon;
  readonly #waiting: Waiting[] = [];
  readonly #negotiate: Command;
  readonly #pretty: boolean;
  #negotiated = false;
  #oobEnabled = false;
  #running = false;
  /** What is sent is held until all of this moment is. */
  #corked = false;
  /** The client has said its last word; what it asked for is still answered. */
  #inputEnded = false;

  /** Greets the client on `socket` and serves it until the socket closes; `pretty` lays messages out for people. */
  constructor(socket: Duplex, commands: ReadonlyMap<string, Command>, daemon: MonitoredDaemon, pretty = false) {
    this.#socket = socket;
    this.#pretty = pretty;
    this.#commands = commands;
    this.#daemon = daemon;
    this.#negotiate = makeNegotiation(oobEnabled => {
      this.#negotiated = true;
      this.#oobEnabled = oobEnabled;
    });
    const reader = new JsonReader(
      {
        onValue: message => this.#accept({ message }),
        onError: description => this.#accept({ syntaxError: description }),
      },
      { tellsIntegers: true },
    );
    socket.on('data', (chunk: Buffer) => {
      reader.feed(chunk);
      if (this.#waiting.length >= MAX_WAITING_REQUESTS) socket.pause();
    });
    socket.on('drain', () => this.#runNext());
    socket.on('end', () => {
      this.#inputEnded = true;
      this.#runNext();
    });
    socket.on('close', () => this.#waiting.splice(0));
    this.#send(encodeGreeting(daemon.version));
  }

  /** Sends an event, unless the client has not negotiated yet. */
  notify(event: QmpEvent, wallUs: number): void {
    if (this.#negotiated) this.#send(encodeEvent(event, wallUs));
  }

  #accept(waiting: Waiting): void {
    if ('message' in waiting && this.#oobEnabled && this.#runOutOfBand(waiting.message)) return;
    this.#waiting.push(waiting);
    this.#runNext();
  }

  /** Runs an exec-oob request at once, past those that wait; false if `message` is not one. */
  #runOutOfBand(message: JsonValue): boolean {
    let request: QmpRequest;
    try {
      request = decodeRequest(message, true);
    } catch {
      return false;
    }
    if (request.outOfBand) void this.#execute(request);
    return request.outOfBand;
  }

  #runNext(): void {
    if (this.#running) return;
    void this.#runAll();
  }

  /** Answers what waits while the client reads, and lets others have a turn in between. */
  async #runAll(): Promise<void> {
    const { clock } = this.#daemon;
    let turnEndsMs = clock.nowMs() + MAX_TURN_MS;
    this.#running = true;
    while (this.#socket.writableLength <= MAX_UNREAD_ANSWER_BYTES) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        if (this.#inputEnded) this.#socket.end();
        break;
      }
      if ('syntaxError' in next) this.#send(encodeSyntaxError(next.syntaxError));
      else await this.#answer(next.message);
      if (this.#waiting.length < MAX_WAITING_REQUESTS && this.#socket.isPaused()) this.#socket.resume();
      if (clock.nowMs() < turnEndsMs) continue;
      await new Promise(setImmediate);
      turnEndsMs = clock.nowMs() + MAX_TURN_MS;
    }
    this.#running = false;
  }

  async #answer(message: JsonValue): Promise<void> {
    let request: QmpRequest;
    try {
      request = decodeRequest(message, this.#oobEnabled);
    } catch (error) {
      this.#send(encodeError(error, idOf(message)));
      return;
    }
    await this.#execute(request);
  }

  async #execute(request: QmpRequest): Promise<void> {
    try {
      const command = this.#find(request);
      this.#send(encodeReturn(await command.execute(request.arguments, this.#daemon), request.id));
    } catch (error) {
      this.#daemon.logger.debug({ command: request.name, err: error }, 'A monitor command was refused');
      this.#send(encodeError(error, request.id));
    }
  }

  #find(request: QmpRequest): Command {
    const { name } = request;
    if (name === this.#negotiate.name) {
      if (!this.#negotiated) return this.#negotiate;
      throw new QmpError('Capabilities negotiation is already complete, command ignored', 'CommandNotFound');
    }
    const command = this.#commands.get(name);
    if (!this.#negotiated) {
      throw new QmpError("Expecting capabilities negotiation with 'qmp_capabilities'", 'CommandNotFound');
    }
    if (command === undefined) throw new QmpError(`The command ${name} has not been found`, 'CommandNotFound');
    if (request.outOfBand && !command.allowOutOfBand) throw new QmpError(`The command ${name} does not support OOB`);
    return command;
  }

  #send(line: string): void {
    if (this.#socket.destroyed || !this.#socket.writable) return;
    this.#sendTogether();
    this.#socket.write(this.#pretty ? indentJson(line) : line);
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) {
      this.#daemon.logger.warn({ unreadBytes: this.#socket.writableLength }, 'A monitor client does not read');
      this.#socket.destroy();
    }
  }

  /** Lets what is sent in one go leave in one write. */
  #sendTogether(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }
}
