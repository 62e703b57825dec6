/**
 * NbdConnection: one connection to an export, at the level of requests and errno.
 *
 * Each request becomes exactly one command; whoever needs more (see request-adapter.ts) stands above. A connection
 * that is lost stays lost: what was in flight completes with an error, and so does all that comes later. Every request
 * completes by its deadline, whatever the server does.
 *
 *   open() ──► running ──close()──► closing ──► closed
 *                 └── loss, deadline, abort() ────┘
 */

import { type Clock, systemClock, type Timer } from '../../base/clock.ts';
import { deferred, withDeadline } from '../../base/deadline.ts';
import { ECONNRESET, ESHUTDOWN, ETIMEDOUT } from '../../base/errno.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { describeNbdAddress } from '../uri.ts';
import { CommandSender } from './command-sender.ts';
import type { ExportInfo } from './export-info.ts';
import { negotiate, type OpenOptions, type Session } from './negotiate.ts';
import { ReplyParser, type ReplySink } from './reply-parser.ts';
import type { RequestTarget } from './request-target.ts';
import type { SessionFeatures } from './session-features.ts';
import { type Slot, SlotTable } from './slot-table.ts';
import type { Wire, WireOwner } from './wire.ts';

/** Requests that are with the server at once; further ones wait here, as many as the layers above allow. */
export const MAX_IN_FLIGHT = 256;
export const DEFAULT_REQUEST_TIMEOUT_MS = 5000;
export const DEFAULT_FLUSH_TIMEOUT_MS = 30_000;
/** How often deadlines are looked at. */
const CHECK_INTERVAL_MS = 50;
/** How long a server has to close after it was told goodbye. */
const DISCONNECT_TIMEOUT_MS = 1000;

export type NbdConnectionOptions = OpenOptions & {
  /** From submit to the reply, for all but flushes; 5000 unless given. */
  readonly requestTimeoutMs?: number;
  /** The same for flushes; 30000 unless given. */
  readonly flushTimeoutMs?: number;
};

/** A request that waits for a slot. */
type Queued = { readonly request: BlockRequest; readonly deadlineMs: number };

export class NbdConnection implements RequestTarget, WireOwner, ReplySink, AsyncDisposable {
  readonly export: ExportInfo;
  readonly features: SessionFeatures;
  readonly connections = 1;
  onClose: (error: ColobusError | null) => void = () => {};

  readonly #wire: Wire;
  readonly #clock: Clock;
  readonly #peer: string;
  readonly #requestTimeoutMs: number;
  readonly #flushTimeoutMs: number;
  readonly #slots = new SlotTable(MAX_IN_FLIGHT);
  readonly #queue: Queued[] = [];
  readonly #parser: ReplyParser;
  readonly #sender: CommandSender;
  readonly #closed = deferred<void>();
  #state: 'running' | 'closing' | 'closed' = 'running';
  #failure: ColobusError | null = null;
  /** Why the client takes its leave, where it does so because the server shuts down. */
  #farewell: ColobusError | null = null;
  #timer: Timer | null = null;
  #nextCheckMs = 0;
  #wasExcused = false;
  #idle = deferred<void>();
  readonly #check = (): void => this.#checkDeadlines();

  private constructor(session: Session, options: NbdConnectionOptions) {
    this.export = session.export;
    this.#wire = session.wire;
    this.#clock = options.clock ?? systemClock;
    this.#peer = describeNbdAddress(options.address);
    this.#requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    this.#flushTimeoutMs = options.flushTimeoutMs ?? DEFAULT_FLUSH_TIMEOUT_MS;
    this.features = session.features;
    const { replies, contexts } = session.features;
    this.#parser = new ReplyParser(this.#slots, this, replies, contexts, session.export.minBlockBytes);
    this.#sender = new CommandSender(session.wire, this.#slots, replies === 'extended');
  }

  /** Connects and negotiates within `openTimeoutMs`; throws, with nothing left open, where that fails. */
  static async open(options: NbdConnectionOptions): Promise<NbdConnection> {
    const session = await negotiate(options);
    const connection = new NbdConnection(session, options);
    session.handOver(connection);
    // The server may have sent nonsense right behind its last word of the handshake.
    if (connection.#failure !== null) throw connection.#failure;
    return connection;
  }

  /** Requests that have not completed, waiting ones included. */
  get inFlight(): number {
    return this.#slots.inUse + this.#queue.length;
  }

  /** True from the end of the connection on, lost or closed. */
  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  get failure(): ColobusError | null {
    return this.#failure;
  }

  submit(request: BlockRequest): void {
    if (this.#state !== 'running') {
      request.complete(ESHUTDOWN);
      return;
    }
    const timeoutMs = request.kind === 'flush' ? this.#flushTimeoutMs : this.#requestTimeoutMs;
    const deadlineMs = this.#clock.nowMs() + timeoutMs;
    if (this.#timer === null) this.#startTimer();
    if (this.#slots.isFull) this.#queue.push({ request, deadlineMs });
    else this.#sender.send(this.#slots.take(request, deadlineMs), request);
  }

  abort(reason: ColobusError): void {
    this.#lose(reason);
  }

  stopReconnecting(): void {}

  stopWaiting(): void {}

  async close(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'closing';
      if (this.inFlight > 0) await this.#idle.promise;
      if (!this.isClosed) await this.#disconnect();
    }
    await this.#closed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  wireReceived(bytes: Buffer, length: number): void {
    if (this.#state === 'closed') return;
    try {
      this.#parser.consume(bytes, length);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#lose(error);
    }
  }

  wireWritten(): void {
    this.#sender.written();
  }

  wireClosed(cause: Error | null): void {
    const reason = cause === null ? 'the server closed it' : cause.message;
    const options = cause === null ? { errno: ECONNRESET } : { errno: ECONNRESET, cause };
    this.#lose(new ColobusError(`The connection to the NBD server at ${this.#peer} was lost: ${reason}`, options));
    this.#sender.close();
    this.#closed.resolve();
  }

  replyDone(slot: Slot, errno: number): void {
    const request = this.#slots.release(slot);
    const next = this.#queue.length > 0 ? this.#queue.shift() : undefined;
    if (next !== undefined) this.#sender.send(this.#slots.take(next.request, next.deadlineMs), next.request);
    request.complete(errno);
    if (errno === ESHUTDOWN && this.#state === 'running') this.#takeLeave();
    if (this.#state === 'closing' && this.inFlight === 0) this.#idle.resolve();
  }

  /** The server shuts down, and a client is then to say goodbye (NBD proto.md, Terminating the transmission phase). */
  #takeLeave(): void {
    const message = `The NBD server at ${this.#peer} is shutting down; connect again later`;
    this.#farewell = new ColobusError(message, { errno: ESHUTDOWN });
    void this.close();
  }

  async #disconnect(): Promise<void> {
    this.#sender.disconnect();
    try {
      await withDeadline(this.#closed.promise, DISCONNECT_TIMEOUT_MS, this.#clock, 'The server did not close');
    } catch {
      this.#end(this.#farewell);
    }
  }

  #startTimer(): void {
    this.#nextCheckMs = this.#clock.nowMs() + CHECK_INTERVAL_MS;
    this.#timer = this.#clock.after(CHECK_INTERVAL_MS, this.#check);
  }

  #checkDeadlines(): void {
    this.#timer = null;
    if (this.inFlight === 0) return;
    const nowMs = this.#clock.nowMs();
    // When this process itself was held up, replies may lie in the socket unread; they get one interval to come in.
    this.#wasExcused = !this.#wasExcused && nowMs > this.#nextCheckMs + CHECK_INTERVAL_MS;
    if (!this.#wasExcused && this.#isAnyExpired(nowMs)) {
      const message = `The NBD server at ${this.#peer} did not answer a request in time; the connection is given up`;
      this.#lose(new ColobusError(message, { errno: ETIMEDOUT }), nowMs);
    } else {
      this.#startTimer();
    }
  }

  #isAnyExpired(nowMs: number): boolean {
    return (
      this.#slots.slots.some(slot => slot.request !== null && slot.deadlineMs <= nowMs) ||
      this.#queue.some(queued => queued.deadlineMs <= nowMs)
    );
  }

  /** Ends the connection because of `error`; or in peace, where it was being closed and nothing is in flight. */
  #lose(error: ColobusError, nowMs = Number.NEGATIVE_INFINITY): void {
    this.#end(this.#state === 'closing' && this.inFlight === 0 ? this.#farewell : error, nowMs);
  }

  /**
   * Ends the connection once; requests whose deadline is not after `nowMs` complete with ETIMEDOUT, before the others:
   * whoever tells of the first failure tells of the cause.
   */
  #end(error: ColobusError | null, nowMs = Number.NEGATIVE_INFINITY): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#failure = error;
    this.#parser.stop();
    this.#timer?.cancel();
    this.#wire.destroy();
    this.onClose(error);
    const lost: Queued[] = this.#queue.splice(0);
    for (const slot of this.#slots.slots) {
      if (slot.request !== null) lost.push({ request: this.#slots.release(slot), deadlineMs: slot.deadlineMs });
    }
    lost.sort((a, b) => a.deadlineMs - b.deadlineMs);
    for (const { request, deadlineMs } of lost) request.complete(deadlineMs <= nowMs ? ETIMEDOUT : ECONNRESET);
    this.#idle.resolve();
  }
}
