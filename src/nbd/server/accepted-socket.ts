/**
 * Reading from an accepted socket into memory of our own.
 *
 * Node.js offers `onread` for sockets that connect but not for those a server accepts: these are taken off their
 * handle and wrapped anew. Where that cannot be done, and for streams without a handle, the bytes arrive as 'data'
 * events in chunks of at most 64 KiB and are copied once.
 */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';

/** Who takes the bytes. */
export interface ByteSink {
  /** Where the next read shall land. */
  room(): Buffer;
  /** `bytes` landed in `room()`; false to stop reading until the socket is resumed. */
  landed(bytes: number): boolean;
  /** Bytes to be copied; false to stop reading until the socket is resumed. */
  append(chunk: Buffer): boolean;
}

export type ReceiveMode = 'in-place' | 'copy';

/** What Node.js keeps under names that its types do not give away. */
type SocketInternals = { _handle: object | null };

/**
 * Starts reading from `accepted`, which is paused, into `sink`. Returns the socket to use from now on, of which the
 * 'end' event stays to the caller. A socket that was wrapped anew is no longer counted by its server.
 */
export function startReading(accepted: Duplex, sink: ByteSink, mode: ReceiveMode): Duplex {
  const internals = accepted as unknown as SocketInternals;
  const handle = internals._handle;
  if (mode === 'copy' || !(accepted instanceof Socket) || handle === null || handle === undefined) {
    copyInto(accepted, sink);
    return accepted;
  }
  internals._handle = null;
  const options: SocketConstructorOpts & { handle: object; onread: OnReadOpts } = {
    handle,
    allowHalfOpen: true,
    onread: {
      // The types want one buffer; a function that gives the buffer of each read is documented as well.
      buffer: (() => sink.room()) as unknown as Uint8Array,
      callback: bytes => sink.landed(bytes),
    },
  };
  return new Socket(options);
}

/** Reads from `stream` into `sink` by way of Node.js's own memory. */
export function copyInto(stream: Duplex, sink: ByteSink): void {
  stream.on('data', (chunk: Buffer) => {
    if (!sink.append(chunk)) stream.pause();
  });
  stream.resume();
}
