/**
 * A reply of the server to an option (NBD proto.md, Option haggling).
 *
 * 0 u64 reply magic · 8 u32 option it answers · 12 u32 type · 16 u32 length of data · 20 data
 */

import { ProtocolError } from '../../base/errors.ts';
import { NBD_OPTION_REPLY_MAGIC_HI, NBD_OPTION_REPLY_MAGIC_LO } from './constants.ts';

export const OPTION_REPLY_HEADER_BYTES = 20;

export type OptionReplyHeader = { readonly option: number; readonly type: number; readonly length: number };

export function encodeOptionReplyHeader(target: Buffer, at: number, header: OptionReplyHeader): void {
  target.writeUInt32BE(NBD_OPTION_REPLY_MAGIC_HI, at);
  target.writeUInt32BE(NBD_OPTION_REPLY_MAGIC_LO, at + 4);
  target.writeUInt32BE(header.option, at + 8);
  target.writeUInt32BE(header.type, at + 12);
  target.writeUInt32BE(header.length, at + 16);
}

/** Throws ProtocolError where the magic is wrong: the peers have lost step. */
export function decodeOptionReplyHeader(source: Buffer, at: number): OptionReplyHeader {
  if (
    source.readUInt32BE(at) !== NBD_OPTION_REPLY_MAGIC_HI ||
    source.readUInt32BE(at + 4) !== NBD_OPTION_REPLY_MAGIC_LO
  ) {
    throw new ProtocolError('An option reply of the server lacks the magic number');
  }
  return {
    option: source.readUInt32BE(at + 8),
    type: source.readUInt32BE(at + 12),
    length: source.readUInt32BE(at + 16),
  };
}

/** A whole reply message. */
export function encodeOptionReply(option: number, type: number, data: Buffer): Buffer {
  const header = Buffer.alloc(OPTION_REPLY_HEADER_BYTES);
  encodeOptionReplyHeader(header, 0, { option, type, length: data.length });
  return Buffer.concat([header, data]);
}
