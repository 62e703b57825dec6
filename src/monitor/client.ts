/** QmpClient: the other end of a monitor, for programs that command a daemon. */

import { connect as connectSocket, type Socket } from 'node:net';
import { type Clock, systemClock } from '../base/clock.ts';
import { type Deferred, deferred, withDeadline } from '../base/deadline.ts';
import { ECONNRESET } from '../base/errno.ts';
import { ColobusError, messageOf, ProtocolError } from '../base/errors.ts';
import { JsonReader } from './protocol/json-reader.ts';
import { encodeJson, isJsonObject, type JsonValue } from './protocol/json-value.ts';
import { QmpError, type QmpErrorClass } from './protocol/qmp-error.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
/** Events nobody has asked for; when there are more, the oldest are forgotten. */
const MAX_KEPT_EVENTS = 4096;

export type QmpAddress = string | { readonly path: string } | { readonly host: string; readonly port: number };

/** An event as it came. */
export type ReceivedEvent = {
  readonly name: string;
  readonly data: JsonValue;
  /** When it happened by the daemon's clock, in microseconds since the Unix epoch. */
  readonly wallUs: number;
};

export type QmpClientOptions = { readonly timeoutMs?: number; readonly clock?: Clock };

export class QmpClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Deferred<JsonValue>>();
  readonly #greeting = deferred<JsonValue>();
  readonly #listeners = new Set<(event: ReceivedEvent) => void>();
  readonly #closed = deferred<void>();
  #events: ReceivedEvent[] = [];
  #lastId = 0;
  #loss: ColobusError | null = null;

  private constructor(socket: Socket, options: QmpClientOptions) {
    this.#socket = socket;
    this.#clock = options.clock ?? systemClock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#greeting.promise.catch(() => {});
    const reader = new JsonReader({
      onValue: message => this.#receive(message),
      onError: description => this.#lose(new ProtocolError(`The monitor sent no QMP: ${description}`)),
    });
    socket.on('data', (chunk: Buffer) => reader.feed(chunk));
    socket.on('error', error =>
      this.#lose(new ColobusError(`The monitor is lost: ${messageOf(error)}`, { cause: error })),
    );
    socket.on('close', () => {
      this.#lose(new ColobusError('The monitor closed the connection', { errno: ECONNRESET }));
      this.#closed.resolve();
    });
  }

  /** Connects and negotiates; a string is the path of a unix socket. `timeoutMs` is also each command's default. */
  static async connect(address: QmpAddress, options: QmpClientOptions = {}): Promise<QmpClient> {
    const socket = connectSocket(typeof address === 'string' ? { path: address } : { ...address });
    const client = new QmpClient(socket, options);
    try {
      await client.#bounded(client.#greeting.promise, client.#timeoutMs, 'The monitor sent no greeting');
      await client.execute('qmp_capabilities');
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return client;
  }

  /** The monitor's answer to `name`. Throws QmpError for a refusal, ETIMEDOUT when none comes in time. */
  async execute<Result = JsonValue>(
    name: string,
    args: object = {},
    options: { readonly timeoutMs?: number } = {},
  ): Promise<Result> {
    if (this.#loss !== null) throw this.#loss;
    const id = ++this.#lastId;
    const answer = deferred<JsonValue>();
    this.#pending.set(id, answer);
    this.#socket.write(`${encodeJson({ execute: name, arguments: args, id })}\r\n`);
    const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
    try {
      return (await this.#bounded(answer.promise, timeoutMs, `The monitor did not answer '${name}'`)) as Result;
    } finally {
      this.#pending.delete(id);
    }
  }

  /**
   * The oldest event called `name` that no earlier call returned and that `matches`; waits for it if there is none
   * yet. Throws ETIMEDOUT after `timeoutMs`.
   */
  async event(
    name: string,
    options: { readonly timeoutMs?: number; readonly matches?: (data: JsonValue) => boolean } = {},
  ): Promise<ReceivedEvent> {
    const wanted = (event: ReceivedEvent): boolean => event.name === name && (options.matches?.(event.data) ?? true);
    const index = this.#events.findIndex(wanted);
    if (index >= 0) return this.#events.splice(index, 1)[0] as ReceivedEvent;
    if (this.#loss !== null) throw this.#loss;
    const arrival = deferred<ReceivedEvent>();
    const stop = this.onEvent(event => {
      if (!wanted(event)) return;
      stop();
      this.#events.splice(this.#events.indexOf(event), 1);
      arrival.resolve(event);
    });
    const lost = this.#closed.promise.then((): never => {
      throw this.#loss;
    });
    try {
      const timeoutMs = options.timeoutMs ?? this.#timeoutMs;
      return await this.#bounded(Promise.race([arrival.promise, lost]), timeoutMs, `No event ${name} came`);
    } finally {
      stop();
    }
  }

  /** Calls `listener` for every event from now on; returns how to stop that. */
  onEvent(listener: (event: ReceivedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when the connection has ended, whoever ended it. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#closed.promise;
  }

  #bounded<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    return withDeadline(promise, timeoutMs, this.#clock, `${what} within ${timeoutMs} ms`);
  }

  #receive(message: JsonValue): void {
    if (!isJsonObject(message)) {
      this.#lose(new ProtocolError('The monitor sent no QMP: a message is not an object'));
    } else if (message.QMP !== undefined) {
      this.#greeting.resolve(message.QMP);
    } else if (typeof message.event === 'string') {
      this.#receiveEvent(message.event, message);
    } else if (typeof message.id === 'number') {
      const answer = this.#pending.get(message.id);
      if (message.error !== undefined) answer?.reject(toError(message.error));
      else answer?.resolve(message.return ?? null);
    }
  }

  #receiveEvent(name: string, message: { readonly [member: string]: JsonValue }): void {
    const timestamp = isJsonObject(message.timestamp ?? null) ? message.timestamp : {};
    const { seconds, microseconds } = timestamp as { seconds?: JsonValue; microseconds?: JsonValue };
    const event = { name, data: message.data ?? null, wallUs: Number(seconds ?? 0) * 1e6 + Number(microseconds ?? 0) };
    this.#events.push(event);
    if (this.#events.length > MAX_KEPT_EVENTS) this.#events.shift();
    for (const listener of [...this.#listeners]) listener(event);
  }

  #lose(loss: ColobusError): void {
    if (this.#loss !== null) return;
    this.#loss = loss;
    this.#greeting.reject(loss);
    for (const answer of this.#pending.values()) answer.reject(loss);
    this.#socket.destroy();
  }
}

function toError(error: JsonValue): QmpError {
  const { class: errorClass, desc } = isJsonObject(error) ? error : {};
  return new QmpError(String(desc), String(errorClass) as QmpErrorClass);
}
