/**
 * Data of NBD_REP_INFO (NBD proto.md, Option reply types).
 *
 * NBD_INFO_EXPORT       0 u16 0 · 2 u64 size in bytes · 10 u16 transmission flags
 * NBD_INFO_NAME         0 u16 1 · 2 canonical name
 * NBD_INFO_DESCRIPTION  0 u16 2 · 2 description
 * NBD_INFO_BLOCK_SIZE   0 u16 3 · 2 u32 minimum · 6 u32 preferred · 10 u32 maximum payload
 */

import { EOVERFLOW } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import { readUint64, writeUint64 } from './big-endian.ts';
import { NBD_INFO_BLOCK_SIZE, NBD_INFO_DESCRIPTION, NBD_INFO_EXPORT, NBD_INFO_NAME } from './constants.ts';
import { decodeString, encodeString } from './protocol-string.ts';

export type InfoReply =
  | { readonly kind: 'export'; readonly sizeBytes: number; readonly flags: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'description'; readonly description: string }
  | { readonly kind: 'block-size'; readonly minimum: number; readonly preferred: number; readonly maximum: number }
  /** One that this version does not know; a client ignores it. */
  | { readonly kind: 'unknown'; readonly info: number };

export function encodeInfoReply(reply: Exclude<InfoReply, { kind: 'unknown' }>): Buffer {
  switch (reply.kind) {
    case 'export': {
      const data = Buffer.alloc(12);
      data.writeUInt16BE(NBD_INFO_EXPORT, 0);
      writeUint64(data, 2, reply.sizeBytes);
      data.writeUInt16BE(reply.flags, 10);
      return data;
    }
    case 'name':
      return withId(NBD_INFO_NAME, encodeString(reply.name, 'export name'));
    case 'description':
      return withId(NBD_INFO_DESCRIPTION, encodeString(reply.description, 'description'));
    case 'block-size': {
      const data = Buffer.alloc(14);
      data.writeUInt16BE(NBD_INFO_BLOCK_SIZE, 0);
      data.writeUInt32BE(reply.minimum, 2);
      data.writeUInt32BE(reply.preferred, 6);
      data.writeUInt32BE(reply.maximum, 10);
      return data;
    }
  }
}

/** Throws ProtocolError where the length is not that of the kind, or the size is above 2^53 - 1. */
export function decodeInfoReply(data: Buffer): InfoReply {
  expectLength(data, data.length >= 2);
  const info = data.readUInt16BE(0);
  switch (info) {
    case NBD_INFO_EXPORT: {
      expectLength(data, data.length === 12);
      return { kind: 'export', sizeBytes: decodeSize(data, 2), flags: data.readUInt16BE(10) };
    }
    case NBD_INFO_NAME:
      return { kind: 'name', name: decodeString(data, 2, data.length - 2, 'export name') };
    case NBD_INFO_DESCRIPTION:
      return { kind: 'description', description: decodeString(data, 2, data.length - 2, 'description') };
    case NBD_INFO_BLOCK_SIZE:
      expectLength(data, data.length === 14);
      return {
        kind: 'block-size',
        minimum: data.readUInt32BE(2),
        preferred: data.readUInt32BE(6),
        maximum: data.readUInt32BE(10),
      };
    default:
      return { kind: 'unknown', info };
  }
}

/** The size of an export as a number. Throws ProtocolError above 2^53 - 1 bytes. */
export function decodeSize(source: Buffer, at: number): number {
  const sizeBytes = readUint64(source, at);
  if (!Number.isSafeInteger(sizeBytes)) {
    throw new ProtocolError('The export is larger than 2^53 - 1 bytes', { errno: EOVERFLOW });
  }
  return sizeBytes;
}

function withId(info: number, body: Buffer): Buffer {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(info, 0);
  return Buffer.concat([id, body]);
}

function expectLength(data: Buffer, fits: boolean): void {
  if (!fits) throw new ProtocolError(`An information reply of the server has a wrong length of ${data.length} bytes`);
}
