/**
 * Reading from an accepted socket into memory of our own.
 *
 * Node.js offers `onread` for sockets that connect but not for those a server accepts: these are taken off their
 * handle and wrapped anew. What Node then reads is little, and tells that bytes have come: the sink takes the rest
 * itself, to where it wants it (see os/direct-socket.ts). Where that cannot be done, and for streams without a handle,
 * the bytes arrive as 'data' events in chunks of at most 64 KiB.
 */

import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { ALIGNMENT_BYTES } from '../../os/aligned-memory.ts';
import type { SocketInternals } from '../../os/direct-socket.ts';
import { REQUEST_BYTES } from '../protocol/request.ts';

/** A command and little more, so that a payload behind it goes on at an aligned place. */
const FIRST_BYTES = REQUEST_BYTES + ALIGNMENT_BYTES;
/** Where Node reads to, for all sockets: the sink copies it at once. */
const firstBytes = Buffer.allocUnsafeSlow(FIRST_BYTES);

/** Who takes the bytes. */
export interface ByteSink {
  /**
   * `chunk` came; it is valid during the call. With `isMore` there is probably more in the socket, and the sink may read
   * it where it can. False to stop reading until the socket is resumed.
   */
  received(chunk: Buffer, isMore: boolean): boolean;
}

export type ReceiveMode = 'in-place' | 'copy';

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
      buffer: firstBytes,
      callback: bytes => sink.received(firstBytes.subarray(0, bytes), bytes === FIRST_BYTES),
    },
  };
  return new Socket(options);
}

/** What one read gives at most of an encrypted stream; the others give more. */
const FULL_CHUNK_BYTES = 16 * 1024;

/** Reads from `stream` into `sink` by way of Node.js's own memory. */
export function copyInto(stream: Duplex, sink: ByteSink): void {
  stream.on('data', (chunk: Buffer) => {
    if (!sink.received(chunk, chunk.length >= FULL_CHUNK_BYTES)) stream.pause();
  });
  stream.resume();
}
