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
  target.writeUInt32BE(NBD_STRUCTURED_REPLY_MAGIC, at);
  target.writeUInt16BE(flags, at + 4);
  target.writeUInt16BE(type, at + 6);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
  target.writeUInt32BE(length, at + 16);
}

/** Reads what follows the magic, by which the caller has told the two kinds of reply apart. */
export function decodeStructuredReply(source: Buffer, at: number, chunk: StructuredReply): void {
  chunk.flags = source.readUInt16BE(at + 4);
  chunk.type = source.readUInt16BE(at + 6);
  chunk.cookieHigh = source.readUInt32BE(at + 8);
  chunk.cookieLow = source.readUInt32BE(at + 12);
  chunk.length = source.readUInt32BE(at + 16);
}
