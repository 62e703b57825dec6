/**
 * A command of the client after NBD_OPT_EXTENDED_HEADERS (NBD proto.md, branch extension-ext-header, Request message).
 *
 *    0  u32  magic 0x21e41c71
 *    4  u16  command flags
 *    6  u16  type
 *    8  u64  cookie, two u32 here: opaque, echoed by the reply
 *   16  u64  offset, echoed by the reply
 *   24  u64  length: of the payload that follows if the flag PAYLOAD_LEN is set, else of the effect
 *   32  length bytes of payload, if PAYLOAD_LEN is set
 *
 * A decoded request has the shape of a compact one, so that both are checked and carried out alike.
 */

import { ProtocolError } from '../../base/errors.ts';
import { readUint16, readUint32, readUint64, writeUint16, writeUint32, writeUint64 } from './big-endian.ts';
import { NBD_EXTENDED_REQUEST_MAGIC } from './constants.ts';
import type { RequestHeader } from './request.ts';

export const EXTENDED_REQUEST_BYTES = 32;

/** Writes EXTENDED_REQUEST_BYTES at `at`. */
export function encodeExtendedRequest(
  target: Buffer,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  offset: number,
  length: number,
): void {
  writeUint32(target, at, NBD_EXTENDED_REQUEST_MAGIC);
  writeUint16(target, at + 4, flags);
  writeUint16(target, at + 6, type);
  writeUint32(target, at + 8, cookieHigh);
  writeUint32(target, at + 12, cookieLow);
  writeUint64(target, at + 16, offset);
  writeUint64(target, at + 24, length);
}

/** Reads EXTENDED_REQUEST_BYTES at `at` into `header`. Throws ProtocolError where the magic is wrong. */
export function decodeExtendedRequest(source: Buffer, at: number, header: RequestHeader): void {
  const magic = readUint32(source, at);
  if (magic !== NBD_EXTENDED_REQUEST_MAGIC) {
    const wanted = NBD_EXTENDED_REQUEST_MAGIC.toString(16);
    throw new ProtocolError(`An extended request starts with 0x${wanted}, not 0x${magic.toString(16)}`);
  }
  header.flags = readUint16(source, at + 4);
  header.type = readUint16(source, at + 6);
  header.cookieHigh = readUint32(source, at + 8);
  header.cookieLow = readUint32(source, at + 12);
  header.offset = readUint64(source, at + 16);
  header.length = readUint64(source, at + 24);
}
