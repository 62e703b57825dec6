/**
 * The header of one chunk of a reply after NBD_OPT_EXTENDED_HEADERS (NBD proto.md, branch extension-ext-header,
 * Extended reply chunk message). There are no simple replies then.
 *
 *    0  u32  magic 0x6e8a278c
 *    4  u16  flags: 1 is DONE, the last chunk of the reply
 *    6  u16  type, as in structured replies
 *    8  u64  cookie of the request, two u32 here
 *   16  u64  offset of the request, two u32 where it is echoed
 *   24  u64  length of the payload
 *   32  the payload (see chunk-payload.ts and block-status-ext.ts)
 */

import { readUint16, readUint32, readUint64, writeUint16, writeUint32, writeUint64 } from './big-endian.ts';
import { NBD_EXTENDED_REPLY_MAGIC } from './constants.ts';

export const EXTENDED_REPLY_BYTES = 32;

/** A decoded chunk header; filled in place. */
export type ExtendedReply = {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; Infinity from 2^53 on (see big-endian.ts), as is `length`. */
  offset: number;
  length: number;
};

export function blankExtendedReply(): ExtendedReply {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, offset: 0, length: 0 };
}

/** Writes EXTENDED_REPLY_BYTES at `at`. The offset is the request's, bit for bit, even where no export is that long. */
export function encodeExtendedReply(
  target: Buffer,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  offsetHigh: number,
  offsetLow: number,
  length: number,
): void {
  writeUint32(target, at, NBD_EXTENDED_REPLY_MAGIC);
  writeUint16(target, at + 4, flags);
  writeUint16(target, at + 6, type);
  writeUint32(target, at + 8, cookieHigh);
  writeUint32(target, at + 12, cookieLow);
  writeUint32(target, at + 16, offsetHigh);
  writeUint32(target, at + 20, offsetLow);
  writeUint64(target, at + 24, length);
}

/** Reads what follows the magic, by which the caller has told the kinds of reply apart. */
export function decodeExtendedReply(source: Buffer, at: number, chunk: ExtendedReply): void {
  chunk.flags = readUint16(source, at + 4);
  chunk.type = readUint16(source, at + 6);
  chunk.cookieHigh = readUint32(source, at + 8);
  chunk.cookieLow = readUint32(source, at + 12);
  chunk.offset = readUint64(source, at + 16);
  chunk.length = readUint64(source, at + 24);
}
