/**
 * DirectSocket: bytes to and from a socket at once, past Node's streams.
 *
 * A small message costs a stream some ten microseconds each way, more than everything else that is done for it. The
 * stream stays what it is: it tells of readiness, of the end and of errors, and it sends what the kernel does not take
 * at once. Streams that are no plain socket (TLS, pipes, tests) and a socket that is closed have nothing to be read, and
 * the stream sends all.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import { EAGAIN, EINTR } from '../base/errno.ts';
import { IoVector } from './io-vector.ts';
import { lastErrno, read, writev } from './libc.ts';
import { addressOfRange } from './memory-address.ts';

/** Bytes `from` to `to` of `bytes`. */
export type Piece = { readonly bytes: Buffer; readonly from: number; readonly to: number };

/** What Node.js keeps under a name that its types do not give away; no handle once the socket is closed. */
export type SocketInternals = { _handle: { readonly fd?: number } | null };

const vector = new IoVector(64);

export class DirectSocket {
  readonly #stream: Duplex;
  readonly #internals: SocketInternals | null;

  /** With `viaStream` all goes by the stream, whatever it is. */
  constructor(stream: Duplex, viaStream = false) {
    const isPlain = stream instanceof Socket && !(stream instanceof TLSSocket) && !viaStream;
    this.#stream = stream;
    this.#internals = isPlain ? (stream as unknown as SocketInternals) : null;
  }

  /**
   * Reads up to `length` bytes that have come to `at` of `buffer`, and returns how many; of an end, and of a failure, the
   * stream tells.
   */
  receive(buffer: Buffer, at: number, length: number): number {
    const fd = this.#descriptor;
    if (fd < 0) return 0;
    const received = read(fd, addressOfRange(buffer, at, length), length);
    if (received >= 0) return received;
    this.#failStream('read', lastErrno());
    return 0;
  }

  /** The kernel tells of a failure once: the stream would only see the end that follows it. */
  #failStream(syscall: string, errno: number): void {
    if (errno === EAGAIN || errno === EINTR) return;
    const code = getSystemErrorName(-errno);
    this.#stream.destroy(Object.assign(new Error(`${syscall} ${code}`), { code, errno: -errno, syscall }));
  }

  /**
   * Sends `pieces` in order. True where the kernel has taken all of them, so that their memory is free; else `sent` is
   * called when the stream has sent the rest, or fails.
   */
  send(pieces: readonly Piece[], sent: () => void): boolean {
    const { writable, writableLength } = this.#stream;
    let total = 0;
    for (const { from, to } of pieces) total += to - from;
    const taken = writable && writableLength === 0 ? this.#sendNow(pieces) : 0;
    if (taken === total) return true;
    this.#sendByStream(pieces, taken, sent);
    return false;
  }

  /** Returns how many bytes the kernel has taken. */
  #sendNow(pieces: readonly Piece[]): number {
    const fd = this.#descriptor;
    if (fd < 0) return 0;
    let taken = 0;
    for (let first = 0; first < pieces.length; first += vector.entries) {
      const count = Math.min(pieces.length - first, vector.entries);
      let bytes = 0;
      for (let i = 0; i < count; i++) {
        const piece = pieces[first + i] as Piece;
        const length = piece.to - piece.from;
        vector.set(i, piece.bytes, piece.from, length);
        bytes += length;
      }
      const written = writev(fd, vector.address, count);
      if (written < 0) this.#failStream('write', lastErrno());
      else taken += written;
      if (written < bytes) break;
    }
    return taken;
  }

  /** Sends what is behind the first `taken` bytes. */
  #sendByStream(pieces: readonly Piece[], taken: number, sent: () => void): void {
    const stream = this.#stream;
    const last = pieces.length - 1;
    let skip = taken;
    stream.cork();
    for (let i = 0; i <= last; i++) {
      const { bytes, from, to } = pieces[i] as Piece;
      const start = Math.min(from + skip, to);
      skip -= start - from;
      if (i === last) stream.write(bytes.subarray(start, to), sent);
      else if (start < to) stream.write(bytes.subarray(start, to));
    }
    stream.uncork();
  }

  get #descriptor(): number {
    return this.#internals?._handle?.fd ?? -1;
  }
}
