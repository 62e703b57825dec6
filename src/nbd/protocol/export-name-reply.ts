/**
 * The answer to NBD_OPT_EXPORT_NAME, which has no option reply header (NBD proto.md, NBD_OPT_EXPORT_NAME).
 *
 * 0 u64 size in bytes · 8 u16 transmission flags · 10 124 zero bytes, unless both sides agreed on NO_ZEROES
 */

import { writeUint64 } from './big-endian.ts';
import { decodeSize } from './info-reply.ts';

export type ExportNameReply = { readonly sizeBytes: number; readonly flags: number };

const ZEROES_BYTES = 124;

/** Bytes of the answer. */
export function exportNameReplyBytes(noZeroes: boolean): number {
  return noZeroes ? 10 : 10 + ZEROES_BYTES;
}

export function encodeExportNameReply(reply: ExportNameReply, noZeroes: boolean): Buffer {
  const data = Buffer.alloc(exportNameReplyBytes(noZeroes));
  writeUint64(data, 0, reply.sizeBytes);
  data.writeUInt16BE(reply.flags, 8);
  return data;
}

/** Throws ProtocolError where the size is above 2^53 - 1 bytes. */
export function decodeExportNameReply(source: Buffer, at: number): ExportNameReply {
  return { sizeBytes: decodeSize(source, at), flags: source.readUInt16BE(at + 8) };
}
