/**
 * A command of the client in the transmission phase (NBD proto.md, Request message).
 *
 *    0  u32  magic 0x25609513
 *    4  u16  command flags
 *    6  u16  type
 *    8  u64  cookie, two u32 here: opaque, echoed by the reply
 *   16  u64  offset
 *   24  u32  length
 *   28  length bytes of data, for a WRITE only
 */

import { ProtocolError } from '../../base/errors.ts';
import { readUint16, readUint32, readUint64, writeUint16, writeUint32, writeUint64 } from './big-endian.ts';
import { NBD_REQUEST_MAGIC } from './constants.ts';

export const REQUEST_BYTES = 28;

/** A decoded request without its data; filled in place, so that one serves a whole connection. */
export type RequestHeader = {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; 2^53 or more where the wire says so (see big-endian.ts). */
  offset: number;
  length: number;
};

export function blankRequestHeader(): RequestHeader {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, offset: 0, length: 0 };
}

/** Writes REQUEST_BYTES at `at`. */
export function encodeRequest(
  target: Buffer,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  offset: number,
  length: number,
): void {
  writeUint32(target, at, NBD_REQUEST_MAGIC);
  writeUint16(target, at + 4, flags);
  writeUint16(target, at + 6, type);
  writeUint32(target, at + 8, cookieHigh);
  writeUint32(target, at + 12, cookieLow);
  writeUint64(target, at + 16, offset);
  writeUint32(target, at + 24, length);
}

/** Reads REQUEST_BYTES at `at` into `header`. Throws ProtocolError where the magic is wrong. */
export function decodeRequest(source: Buffer, at: number, header: RequestHeader): void {
  const magic = readUint32(source, at);
  if (magic !== NBD_REQUEST_MAGIC) {
    throw new ProtocolError(`A request starts with 0x${NBD_REQUEST_MAGIC.toString(16)}, not 0x${magic.toString(16)}`);
  }
  header.flags = readUint16(source, at + 4);
  header.type = readUint16(source, at + 6);
  header.cookieHigh = readUint32(source, at + 8);
  header.cookieLow = readUint32(source, at + 12);
  header.offset = readUint64(source, at + 16);
  header.length = readUint32(source, at + 24);
}
