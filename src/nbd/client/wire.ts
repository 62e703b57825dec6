/**
 * Wire: the byte stream to a server, below the protocol.
 *
 * It reads into one buffer that it uses again and again, so received bytes are valid only during the call that
 * delivers them. One write is under way at a time; its memory belongs to the wire until `write` says otherwise or `wireWritten`.
 */

import * as net from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { deferred, withDeadline } from '../../base/deadline.ts';
import { ENOENT, errnoOf } from '../../base/errno.ts';
import { ColobusError, UsageError } from '../../base/errors.ts';
import { allocateAligned } from '../../os/aligned-memory.ts';
import { DirectSocket, type Piece } from '../../os/direct-socket.ts';
import { BusyPoll } from '../busy-poll.ts';
import { connectTls } from '../tls/connect-tls.ts';
import type { TlsCredentials } from '../tls/tls-credentials.ts';
import { describeNbdAddress, type NbdAddress } from '../uri.ts';
import { unlessAborted } from './unless-aborted.ts';

/** Larger than a unix socket's buffer, so that a burst of replies is one callback. */
const RECEIVE_BUFFER_BYTES = 512 * 1024;
/** What `sun_path` holds; Node would cut a longer path silently. */
const MAX_SOCKET_PATH_BYTES = 107;

export interface WireOwner {
  /** The first `length` bytes of `bytes` came in; they are the wire's again when this returns. */
  wireReceived(bytes: Buffer, length: number): void;
  /** The memory of the last write is free again. */
  wireWritten(): void;
  /** The stream has ended, on its own or by `destroy`; nothing else is called after this. */
  wireClosed(error: Error | null): void;
}

export class Wire {
  /** Who is told; the handshake first, then the connection. */
  owner: WireOwner;
  #socket: net.Socket;
  #error: Error | null = null;
  #direct: DirectSocket;
  readonly #poll: BusyPoll;
  readonly #written = (): void => {
    if (!this.#socket.destroyed) this.owner.wireWritten();
  };

  readonly #failed = (error: Error): void => {
    this.#error = error;
  };
  // A server that has closed its side answers nothing more; waiting for our own writes to go out could take forever.
  readonly #ended = (): void => this.destroy();
  readonly #closed = (): void => this.owner.wireClosed(this.#error);

  private constructor(socketOptions: net.NetConnectOpts, owner: WireOwner, clock: Clock) {
    this.owner = owner;
    const buffer = allocateAligned(RECEIVE_BUFFER_BYTES);
    const received = (length: number): boolean => {
      this.#poll.arrived();
      this.owner.wireReceived(buffer, length);
      return true;
    };
    this.#socket = net.connect({ ...socketOptions, onread: { buffer, callback: received } });
    this.#direct = new DirectSocket(this.#socket);
    this.#poll = new BusyPoll(clock, () => {
      const length = this.#direct.receive(buffer, 0, buffer.length);
      return length > 0 && received(length);
    });
    this.#socket.on('error', this.#failed).on('end', this.#ended).on('close', this.#closed);
  }

  /** Connects, or throws a ColobusError that says why not; `owner` is told of all that comes in. */
  static async connect(
    address: NbdAddress,
    owner: WireOwner,
    timeoutMs: number,
    clock: Clock,
    signal?: AbortSignal,
  ): Promise<Wire> {
    const wire = new Wire(socketOptions(address), owner, clock);
    const connected = deferred<void>();
    const refused = (cause: Error): void => connected.reject(cannotConnect(address, cause));
    wire.#socket.once('connect', connected.resolve);
    wire.#socket.once('error', refused);
    try {
      const late = `The NBD server at ${describeNbdAddress(address)} did not accept the connection within ${timeoutMs} ms`;
      await unlessAborted(withDeadline(connected.promise, timeoutMs, clock, late), signal);
      wire.#socket.off('error', refused);
      return wire;
    } catch (error) {
      wire.destroy();
      throw error;
    }
  }

  /**
   * Encrypts all that follows; nothing may be under way. Throws where the server cannot prove who it is (see
   * connectTls). Received bytes are then no longer read into the buffer of this wire, which TLS does not allow.
   */
  async startTls(credentials: TlsCredentials, hostname: string | null): Promise<void> {
    const plain = this.#socket;
    plain.off('end', this.#ended).off('close', this.#closed);
    const encrypted = await connectTls(plain, credentials, hostname);
    this.#socket = encrypted;
    this.#direct = new DirectSocket(encrypted);
    encrypted.on('error', this.#failed).on('end', this.#ended).on('close', this.#closed);
    encrypted.on('data', (bytes: Buffer) => this.owner.wireReceived(bytes, bytes.length));
    // It may have gone in the tick between.
    if (encrypted.destroyed) this.#closed();
  }

  /** Sends a message of the handshake, of which nobody is told. */
  send(message: Buffer): void {
    this.#socket.write(message);
  }

  /** Sends `pieces` in order. True where their memory is free already; else `wireWritten` tells when it is. */
  write(pieces: readonly Piece[]): boolean {
    return this.#direct.send(pieces, this.#written);
  }

  /** All that the server owes is the answer to what was written last, which is looked out for. */
  expectAnswer(): void {
    this.#poll.expect();
  }

  /** Sends what was written and then closes. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function socketOptions(address: NbdAddress): net.NetConnectOpts {
  if (address.kind === 'inet') return { host: address.host, port: address.port, noDelay: true, keepAlive: true };
  const bytes = Buffer.byteLength(address.path);
  if (bytes > MAX_SOCKET_PATH_BYTES) {
    throw new UsageError(
      `The socket path '${address.path}' has ${bytes} bytes, over ${MAX_SOCKET_PATH_BYTES}; choose a shorter one`,
    );
  }
  return { path: address.path };
}

function cannotConnect(address: NbdAddress, cause: Error): ColobusError {
  const code = 'code' in cause ? String(cause.code) : '';
  const reason =
    {
      ECONNREFUSED: 'connection refused',
      ENOENT: 'no such socket',
      EACCES: 'permission denied',
      ENOTFOUND: 'no such host',
    }[code] ?? cause.message;
  // The resolver's errors have numbers of their own, which are no errno.
  const errno = 'syscall' in cause && cause.syscall === 'getaddrinfo' ? ENOENT : errnoOf(cause);
  return new ColobusError(
    `Cannot connect to the NBD server at ${describeNbdAddress(address)}: ${reason}; check the address and that the server runs`,
    { errno, cause },
  );
}
