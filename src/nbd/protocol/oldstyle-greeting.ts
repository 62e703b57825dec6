/**
 * The whole handshake of an oldstyle server, all of it from the server (NBD proto.md, Oldstyle negotiation).
 *
 *    0 u64 NBDMAGIC · 8 u64 oldstyle magic · 16 u64 size in bytes · 24 u16 global flags · 26 u16 transmission flags
 *   28 124 zeroes
 */

import { OLDSTYLE_MAGIC_HI, OLDSTYLE_MAGIC_LO } from './constants.ts';
import { decodeSize } from './info-reply.ts';

/** Bytes by which oldstyle and newstyle are told apart. */
export const GREETING_MAGIC_BYTES = 16;
export const OLDSTYLE_GREETING_BYTES = 152;

export type OldstyleGreeting = { readonly sizeBytes: number; readonly flags: number };

/** True where the first GREETING_MAGIC_BYTES are those of an oldstyle server. */
export function isOldstyle(source: Buffer, at: number): boolean {
  return source.readUInt32BE(at + 8) === OLDSTYLE_MAGIC_HI && source.readUInt32BE(at + 12) === OLDSTYLE_MAGIC_LO;
}

/** Reads OLDSTYLE_GREETING_BYTES, whose magic was looked at. Throws ProtocolError where the size is above 2^53 - 1. */
export function decodeOldstyleGreeting(source: Buffer, at: number): OldstyleGreeting {
  return { sizeBytes: decodeSize(source, at + 16), flags: source.readUInt16BE(at + 26) };
}
