/**
 * The short reply to a command (NBD proto.md, Simple reply message).
 *
 *    0  u32  magic 0x67446698
 *    4  u32  error, 0 for success
 *    8  u64  cookie of the request, two u32 here
 *   16  the data, after a successful READ only
 */

import { readUint32, writeUint32 } from './big-endian.ts';
import { NBD_SIMPLE_REPLY_MAGIC } from './constants.ts';

export const SIMPLE_REPLY_BYTES = 16;

/** A decoded reply without its data; filled in place. */
export type SimpleReply = { error: number; cookieHigh: number; cookieLow: number };

export function blankSimpleReply(): SimpleReply {
  return { error: 0, cookieHigh: 0, cookieLow: 0 };
}

/** Writes SIMPLE_REPLY_BYTES at `at`. `error` is an error of the wire (see wire-errno.ts). */
export function encodeSimpleReply(
  target: Buffer,
  at: number,
  error: number,
  cookieHigh: number,
  cookieLow: number,
): void {
  writeUint32(target, at, NBD_SIMPLE_REPLY_MAGIC);
  writeUint32(target, at + 4, error);
  writeUint32(target, at + 8, cookieHigh);
  writeUint32(target, at + 12, cookieLow);
}

/** Reads what follows the magic, by which the caller has told the two kinds of reply apart. */
export function decodeSimpleReply(source: Buffer, at: number, reply: SimpleReply): void {
  reply.error = readUint32(source, at + 4);
  reply.cookieHigh = readUint32(source, at + 8);
  reply.cookieLow = readUint32(source, at + 12);
}
