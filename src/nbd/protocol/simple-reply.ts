/**
 * The short reply to a command (NBD proto.md, Simple reply message).
 *
 *    0  u32  magic 0x67446698
 *    4  u32  error, 0 for success
 *    8  u64  cookie of the request, two u32 here
 *   16  the data, after a successful READ only
 */

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
  target.writeUInt32BE(NBD_SIMPLE_REPLY_MAGIC, at);
  target.writeUInt32BE(error, at + 4);
  target.writeUInt32BE(cookieHigh, at + 8);
  target.writeUInt32BE(cookieLow, at + 12);
}

/** Reads what follows the magic, by which the caller has told the two kinds of reply apart. */
export function decodeSimpleReply(source: Buffer, at: number, reply: SimpleReply): void {
  reply.error = source.readUInt32BE(at + 4);
  reply.cookieHigh = source.readUInt32BE(at + 8);
  reply.cookieLow = source.readUInt32BE(at + 12);
}
