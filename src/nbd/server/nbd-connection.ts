/**
 * NbdConnection: one client, from the greeting to the last reply.
 *
 *   handshake ──session──► transmission ──DISC, end of stream, stop──► draining ──requests returned──► closed
 *       └──time limit, ABORT, broken rule──────────────────────────────────────────────────────────► closed
 *
 * A ProtocolError ends this connection and nothing else.
 */

import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../base/clock.ts';
import { deferred, withDeadline } from '../../base/deadline.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { type ByteSink, type ReceiveMode, startReading } from './accepted-socket.ts';
import { greeting, Handshake } from './handshake.ts';
import { CLOSE_GRACE_MS, HANDSHAKE_TIMEOUT_MS } from './limits.ts';
import type { ExportClient, NbdExport } from './nbd-export.ts';
import type { ExportDirectory, Session } from './option-answers.ts';
import { ReceiveBuffer } from './receive-buffer.ts';
import { ReplyQueue } from './reply-queue.ts';
import { Transmission, type TransmissionHost } from './transmission.ts';

export type ConnectionOptions = {
  readonly directory: ExportDirectory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly receiveMode: ReceiveMode;
};

export class NbdConnection implements ByteSink, ExportClient, TransmissionHost {
  readonly #socket: Socket;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #receive = new ReceiveBuffer();
  readonly #replies: ReplyQueue;
  readonly #handshake: Handshake;
  readonly #handshakeTimer: Timer;
  readonly #closed = deferred<void>();
  readonly #drained = deferred<void>();
  #transmission: Transmission | null = null;
  #target: NbdExport | null = null;
  #settleScheduled = false;
  #state: 'open' | 'closing' | 'closed' = 'open';

  /** Greets the client. `accepted` must be paused. */
  constructor(accepted: Socket, options: ConnectionOptions) {
    this.#logger = options.logger;
    this.#clock = options.clock;
    this.#handshake = new Handshake(options.directory, reply => this.#socket.write(reply));
    this.#handshakeTimer = options.clock.after(HANDSHAKE_TIMEOUT_MS, () =>
      this.#cutOff('NBD client was disconnected: it did not complete the handshake in time'),
    );
    this.#socket = startReading(accepted, this, options.receiveMode);
    this.#replies = new ReplyQueue(this.#socket, () => this.#scheduleSettle());
    this.#socket.on('end', () => this.#clientEnded());
    this.#socket.on('error', error => this.#logger.debug({ error }, 'NBD client disconnected'));
    this.#socket.on('close', () => this.#release());
    this.#socket.write(greeting());
  }

  /** Resolves when the connection is gone; its requests may still be on their way. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  room(): Buffer {
    return this.#receive.room();
  }

  landed(bytes: number): boolean {
    this.#receive.landed(bytes);
    return this.#consume();
  }

  append(chunk: Buffer): boolean {
    this.#receive.append(chunk);
    return this.#consume();
  }

  requestCompleted(): void {
    this.#scheduleSettle();
  }

  /** Takes no more commands, waits for those in flight up to `deadlineMs`, then closes. */
  async stop(deadlineMs: number): Promise<void> {
    this.#transmission?.end();
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
    this.#socket.destroySoon();
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
    this.#replies.flush();
    return this.#transmission === null || this.#goesOn(this.#transmission);
  }

  #shakeHands(): Transmission | null {
    const outcome = this.#handshake.consume(this.#receive);
    if (outcome === 'continue') return null;
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

  #goesOn(transmission: Transmission): boolean {
    if (!transmission.ended) return !transmission.stalled;
    if (transmission.inFlight === 0) {
      this.#drained.resolve();
      void this.close();
    }
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
    const transmission = this.#transmission;
    if (transmission === null || this.#state !== 'open') return;
    if (transmission.stalled) {
      if (this.#consume()) this.#socket.resume();
    } else {
      this.#replies.flush();
      this.#goesOn(transmission);
    }
  };

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
