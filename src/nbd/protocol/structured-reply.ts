/**
 * The header of one chunk of a structured reply (NBD proto.md, Structured reply chunk message).
 *
 *    0  u32  magic 0x668e33ef
 *    4  u16  flags: 1 is DONE, the last chunk of the reply
 *    6  u16  type; the top bit says that it is an error
 *    8  u64  cookie of the request, two u32 here
 *   16  u32  length of the payload
 *   20  the payload (see chunk-payload.ts)
 */

import { readUint16, readUint32, writeUint16, writeUint32 } from './big-endian.ts';
import { NBD_STRUCTURED_REPLY_MAGIC } from './constants.ts';

export const STRUCTURED_REPLY_BYTES = 20;

/** A decoded chunk header; filled in place. */
export type StructuredReply = {
  flags: number;
  type: number;
  cookieHigh: number;
  cookieLow: number;
  length: number;
};

export function blankStructuredReply(): StructuredReply {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, length: 0 };
}

/** Writes STRUCTURED_REPLY_BYTES at `at`. */
export function encodeStructuredReply(
  target: Buffer,
  at: number,
  flags: number,
  type: number,
  cookieHigh: number,
  cookieLow: number,
  length: number,
): void {
  writeUint32(target, at, NBD_STRUCTURED_REPLY_MAGIC);
  writeUint16(target, at + 4, flags);
  writeUint16(target, at + 6, type);
  writeUint32(target, at + 8, cookieHigh);
  writeUint32(target, at + 12, cookieLow);
  writeUint32(target, at + 16, length);
}

/** Reads what follows the magic, by which the caller has told the two kinds of reply apart. */
export function decodeStructuredReply(source: Buffer, at: number, chunk: StructuredReply): void {
  chunk.flags = readUint16(source, at + 4);
  chunk.type = readUint16(source, at + 6);
  chunk.cookieHigh = readUint32(source, at + 8);
  chunk.cookieLow = readUint32(source, at + 12);
  chunk.length = readUint32(source, at + 16);
}
