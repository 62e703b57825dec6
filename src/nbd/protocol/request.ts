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
import { NBD_REQUEST_MAGIC } from './constants.ts';
import { readUint64, writeUint64 } from './uint64.ts';

export const REQUEST_BYTES = 28;

/** A decoded request without its data; filled in place, so that one serves a whole connection. */
export type RequestHeader = {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; 2^53 or more where the wire says so (see uint64.ts). */
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
  target.writeUInt32BE(NBD_REQUEST_MAGIC, at);
  target.writeUInt16BE(flags, at + 4);
  target.writeUInt16BE(type, at + 6);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
  writeUint64(target, at + 16, offset);
  target.writeUInt32BE(length, at + 24);
}

/** Reads REQUEST_BYTES at `at` into `header`. Throws ProtocolError where the magic is wrong. */
export function decodeRequest(source: Buffer, at: number, header: RequestHeader): void {
  const magic = source.readUInt32BE(at);
  if (magic !== NBD_REQUEST_MAGIC) {
    throw new ProtocolError(`A request starts with 0x${NBD_REQUEST_MAGIC.toString(16)}, not 0x${magic.toString(16)}`);
  }
  header.flags = source.readUInt16BE(at + 4);
  header.type = source.readUInt16BE(at + 6);
  header.cookieHigh = source.readUInt32BE(at + 8);
  header.cookieLow = source.readUInt32BE(at + 12);
  header.offset = readUint64(source, at + 16);
  header.length = source.readUInt32BE(at + 24);
}
