/**
 * NbdConnection: one client, from the greeting to the last reply.
 *
 *   handshake ──session──► transmission ──DISC, end of stream, stop──► draining ──requests returned──► closed
 *    ▲  │  └──time limit, ABORT, broken rule──────────────────────────────────────────────────────► closed
 *    └──┘ STARTTLS: the handshake goes on through the encrypted socket
 *
 * A ProtocolError ends this connection and nothing else.
 */

import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../base/clock.ts';
import { deferred, withDeadline } from '../../base/deadline.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { DirectSocket } from '../../os/direct-socket.ts';
import { BusyPoll } from '../busy-poll.ts';
import { acceptTls } from '../tls/accept-tls.ts';
import type { TlsCredentials } from '../tls/tls-credentials.ts';
import { type ByteSink, copyInto, type ReceiveMode, startReading } from './accepted-socket.ts';
import { greeting, Handshake } from './handshake.ts';
import type { ExportDirectory, Session, TlsMode } from './handshake-state.ts';
import { CLOSE_GRACE_MS, HANDSHAKE_TIMEOUT_MS } from './limits.ts';
import type { ExportClient, NbdExport } from './nbd-export.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { ReplyQueue } from './reply-queue.ts';
import { Transmission, type TransmissionHost } from './transmission.ts';

/**
 * How long a connection reads on before others have their turn; what was read is worked off in any case. Node.js alone
 * would read up to 32 times in a row.
 */
const MAX_TURN_MS = 1;

/** Whether clients may or must encrypt, and by what the server proves who it is. */
export type TlsPolicy = { readonly mode: Exclude<TlsMode, 'off'>; readonly credentials: TlsCredentials };

export type ConnectionOptions = {
  readonly directory: ExportDirectory;
  readonly tls: TlsPolicy | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly receiveMode: ReceiveMode;
};

export class NbdConnection implements ByteSink, ExportClient, TransmissionHost {
  #socket: Duplex;
  #direct: DirectSocket;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #tls: TlsPolicy | null;
  readonly #receive = new ReceiveBuffer();
  readonly #poll: BusyPoll;
  #replies: ReplyQueue;
  readonly #handshake: Handshake;
  readonly #handshakeTimer: Timer;
  readonly #closed = deferred<void>();
  readonly #drained = deferred<void>();
  #transmission: Transmission | null = null;
  #target: NbdExport | null = null;
  #settleScheduled = false;
  /** When it began to read on, if it did since the last `settle`. */
  #turnBeganMs: number | null = null;
  /** Its turn is over, and others have theirs before it reads on. */
  #yields = false;
  #isStartingTls = false;
  #isStopping = false;
  #state: 'open' | 'closing' | 'closed' = 'open';

  /** Greets the client. `accepted` must be paused. */
  constructor(accepted: Duplex, options: ConnectionOptions) {
    const { directory, tls } = options;
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#poll = new BusyPoll(options.clock, () => this.#look());
    this.#tls = tls;
    this.#handshake = new Handshake({ directory, tlsMode: tls?.mode ?? 'off' }, reply => this.#socket.write(reply));
    this.#handshakeTimer = options.clock.after(HANDSHAKE_TIMEOUT_MS, () =>
      this.#cutOff('NBD client was disconnected: it did not complete the handshake in time'),
    );
    this.#socket = startReading(accepted, this, options.receiveMode);
    this.#direct = new DirectSocket(this.#socket, options.receiveMode === 'copy');
    this.#replies = this.#attach(this.#socket, this.#direct);
    this.#socket.write(greeting());
  }

  /** Resolves when the connection is gone; its requests may still be on their way. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  received(chunk: Buffer, isMore: boolean): boolean {
    this.#receive.append(chunk, isMore);
    this.#poll.arrived();
    return this.#consume() && (this.#transmission === null || this.#readOn());
  }

  requestCompleted(): void {
    this.#scheduleSettle();
  }

  /** Refuses commands from now on, waits for those in flight up to `deadlineMs`, then closes. */
  async stop(deadlineMs: number): Promise<void> {
    this.#isStopping = true;
    this.#transmission?.refuseCommands();
    if (this.#transmission !== null && this.#transmission.inFlight > 0) {
      // A request that does not return keeps its memory; the connection ends regardless.
      await withDeadline(this.#drained.promise, deadlineMs, this.#clock, 'Requests did not return').catch(() => {});
    }
    await this.close();
  }

  /** Sends what is complete and ends the connection; a client that does not take it is cut off. */
  close(): Promise<void> {
    if (this.#state !== 'open') return this.closed;
    this.#state = 'closing';
    this.#transmission?.end();
    this.#replies.flush();
    this.#socket.end(() => this.#socket.destroy());
    const timer = this.#clock.after(CLOSE_GRACE_MS, () => this.#socket.destroy());
    void this.closed.then(() => timer.cancel());
    return this.closed;
  }

  /** Works off what has arrived; false where reading must stop for now. */
  #consume(): boolean {
    if (this.#state !== 'open') return false;
    try {
      const transmission = this.#transmission ?? this.#shakeHands();
      transmission?.consume();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#cutOff(`NBD client was disconnected: ${error.message}`);
      return false;
    }
    const transmission = this.#transmission;
    // What comes next is read in this turn of the event loop: its replies go out with those that are ready.
    if (transmission !== null && this.#receive.isFilled && this.#goesOnReading(transmission)) this.#scheduleSettle();
    else this.#flush();
    if (transmission === null) return !this.#isStartingTls;
    return this.#goesOn(transmission);
  }

  /** Reads and works off what else lies in the socket; false where reading must stop for now. */
  #readOn(): boolean {
    while (this.#receive.isFilled) {
      this.#yields = this.#endsTurn();
      if (this.#yields) {
        this.#replies.flush();
        this.#scheduleSettle();
        return false;
      }
      this.#receive.receiveFrom(this.#direct);
      if (!this.#consume()) return false;
    }
    return true;
  }

  /** True where this turn, which began with the first call since `settle`, has been long enough. */
  #endsTurn(): boolean {
    const nowMs = this.#clock.nowMs();
    this.#turnBeganMs ??= nowMs;
    return nowMs - this.#turnBeganMs >= MAX_TURN_MS;
  }

  #goesOnReading(transmission: Transmission): boolean {
    return !transmission.stalled && !transmission.ended;
  }

  /** Looks for bytes before the event loop tells of them; true where whole messages had come. */
  #look(): boolean {
    const transmission = this.#transmission;
    if (transmission === null || this.#yields || this.#state !== 'open') return false;
    if (!this.#goesOnReading(transmission)) return false;
    if (this.#receive.receiveFrom(this.#direct) === 0) return false;
    this.#poll.arrived();
    if (!this.#consume() || !this.#readOn()) this.#socket.pause();
    return this.#receive.available === 0;
  }

  #shakeHands(): Transmission | null {
    const outcome = this.#handshake.consume(this.#receive);
    if (outcome === 'continue') return null;
    if (outcome === 'start-tls') {
      this.#startTls();
      return null;
    }
    this.#handshakeTimer.cancel();
    if (outcome === 'close') {
      void this.close();
      return null;
    }
    return this.#beginTransmission(outcome);
  }

  #beginTransmission(session: Session): Transmission {
    this.#target = session.target;
    this.#target.addClient(this);
    this.#transmission = new Transmission(session, this.#receive, this.#replies, this);
    return this.#transmission;
  }

  /**
   * Goes on encrypted. What came behind the option was said in plain text, perhaps by a third party, and the client is
   * to wait for the answer: it ends the connection (CVE-2021-3716 was to take such bytes for encrypted ones).
   */
  #startTls(): void {
    if (this.#tls === null) throw new ProtocolError('TLS was started without credentials');
    if (this.#receive.available > 0) throw new ProtocolError('The client sent more before TLS was started');
    const plain = this.#socket;
    this.#isStartingTls = true;
    plain.pause();
    plain.removeAllListeners('data');
    acceptTls(plain, this.#tls.credentials).then(
      secure => {
        if (this.#state !== 'open') {
          secure.destroy();
          return;
        }
        this.#isStartingTls = false;
        this.#socket = secure;
        this.#direct = new DirectSocket(secure);
        this.#replies.close();
        this.#replies = this.#attach(secure, this.#direct);
        copyInto(secure, this);
      },
      error => {
        if (!(error instanceof ColobusError)) throw error;
        this.#cutOff(`NBD client was disconnected: ${error.message}`);
      },
    );
  }

  /** Listens to what becomes of `socket`, as long as it is the one in use. */
  #attach(socket: Duplex, direct: DirectSocket): ReplyQueue {
    socket.on('end', () => {
      if (socket === this.#socket) this.#clientEnded();
    });
    socket.on('error', error => this.#logger.debug({ error }, 'NBD client disconnected'));
    socket.on('close', () => {
      if (socket === this.#socket) this.#release();
    });
    return new ReplyQueue(direct, () => this.#scheduleSettle());
  }

  #goesOn(transmission: Transmission): boolean {
    const isIdle = transmission.inFlight === 0;
    if (isIdle && (transmission.ended || this.#isStopping)) this.#drained.resolve();
    if (!transmission.ended) return !transmission.stalled;
    if (isIdle) void this.close();
    return false;
  }

  /** The completions of one turn of the event loop are answered together. */
  #scheduleSettle(): void {
    if (this.#settleScheduled || this.#state === 'closed') return;
    this.#settleScheduled = true;
    setImmediate(this.#settle);
  }

  readonly #settle = (): void => {
    this.#settleScheduled = false;
    this.#turnBeganMs = null;
    const transmission = this.#transmission;
    if (transmission === null || this.#state !== 'open') return;
    if (transmission.stalled || this.#yields) {
      this.#yields = false;
      if (this.#consume() && this.#readOn()) this.#socket.resume();
    } else {
      this.#flush();
      this.#goesOn(transmission);
    }
  };

  #flush(): void {
    this.#replies.flush();
    if (this.#transmission?.inFlight === 0) this.#poll.expect();
  }

  /** The client sends no more: as a DISC, what it asked for is done and answered. Half a message is dropped. */
  #clientEnded(): void {
    const transmission = this.#transmission;
    if (transmission === null) {
      void this.close();
    } else {
      transmission.end();
      this.#goesOn(transmission);
    }
  }

  #cutOff(reason: string): void {
    this.#logger.warn({}, reason);
    this.#state = 'closing';
    this.#socket.destroy();
  }

  #release(): void {
    this.#state = 'closed';
    this.#handshakeTimer.cancel();
    this.#transmission?.abandon();
    this.#drained.resolve();
    this.#target?.removeClient(this);
    this.#replies.close();
    this.#receive.release();
    this.#closed.resolve();
  }
}
