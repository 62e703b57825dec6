/** HandshakeReader: awaits the bytes of the handshake in the pieces that its messages need. */

import { type Deferred, deferred } from '../../base/deadline.ts';
import { ECONNRESET } from '../../base/errno.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import type { WireOwner } from './wire.ts';

/** A server that sends more than this ahead of being asked has lost step. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

export class HandshakeReader implements WireOwner {
  #unread: Buffer = Buffer.alloc(0);
  #failure: ColobusError | null = null;
  #waiter: { readonly bytes: number; readonly deferred: Deferred<Buffer> } | null = null;

  /** The next `bytes` bytes. Rejects where the connection ended or `fail` was called first. */
  read(bytes: number): Promise<Buffer> {
    const waiter = { bytes, deferred: deferred<Buffer>() };
    this.#waiter = waiter;
    this.#serve();
    return waiter.deferred.promise;
  }

  /** What has come in and was not read; the reader is empty afterwards. */
  takeUnread(): Buffer {
    const unread = this.#unread;
    this.#unread = Buffer.alloc(0);
    return unread;
  }

  /** Ends the waiting read and all later ones. */
  fail(error: ColobusError): void {
    this.#failure ??= error;
    this.#serve();
  }

  wireReceived(bytes: Buffer, length: number): void {
    if (this.#unread.length + length > MAX_UNREAD_BYTES) {
      this.fail(new ProtocolError(`The server sent over ${MAX_UNREAD_BYTES} bytes that nobody asked for`));
      return;
    }
    this.#unread = Buffer.concat([this.#unread, bytes.subarray(0, length)]);
    this.#serve();
  }

  wireWritten(): void {}

  wireClosed(cause: Error | null): void {
    const options = cause === null ? { errno: ECONNRESET } : { errno: ECONNRESET, cause };
    this.fail(new ColobusError('The server closed the connection during the handshake', options));
  }

  #serve(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    if (this.#unread.length >= waiter.bytes) {
      this.#waiter = null;
      const bytes = this.#unread.subarray(0, waiter.bytes);
      this.#unread = this.#unread.subarray(waiter.bytes);
      waiter.deferred.resolve(bytes);
    } else if (this.#failure !== null) {
      this.#waiter = null;
      waiter.deferred.reject(this.#failure);
    }
  }
}
