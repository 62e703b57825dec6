/**
 * An option of the client during the handshake (NBD proto.md, Option haggling).
 *
 * 0 u64 IHAVEOPT · 8 u32 option · 12 u32 length of data · 16 data
 */

import { ProtocolError } from '../../base/errors.ts';
import { IHAVEOPT_HI, IHAVEOPT_LO } from './constants.ts';

export const OPTION_HEADER_BYTES = 16;

export type OptionHeader = { readonly option: number; readonly length: number };

export function encodeOptionHeader(target: Buffer, at: number, header: OptionHeader): void {
  target.writeUInt32BE(IHAVEOPT_HI, at);
  target.writeUInt32BE(IHAVEOPT_LO, at + 4);
  target.writeUInt32BE(header.option, at + 8);
  target.writeUInt32BE(header.length, at + 12);
}

/** Throws ProtocolError where the magic is wrong: the peers have lost step. */
export function decodeOptionHeader(source: Buffer, at: number): OptionHeader {
  if (source.readUInt32BE(at) !== IHAVEOPT_HI || source.readUInt32BE(at + 4) !== IHAVEOPT_LO) {
    throw new ProtocolError('An option of the client lacks the magic number');
  }
  return { option: source.readUInt32BE(at + 8), length: source.readUInt32BE(at + 12) };
}

/** A whole option message. */
export function encodeOption(option: number, data: Buffer): Buffer {
  const header = Buffer.alloc(OPTION_HEADER_BYTES);
  encodeOptionHeader(header, 0, { option, length: data.length });
  return Buffer.concat([header, data]);
}
