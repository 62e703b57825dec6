/**
 * Extents with 64-bit lengths, and the payload by which a client asks for some of its contexts only (NBD proto.md,
 * branch extension-ext-header, NBD_REPLY_TYPE_BLOCK_STATUS_EXT and NBD_CMD_BLOCK_STATUS).
 *
 *   BLOCK_STATUS_EXT            0 u32 context id · 4 u32 count of extents, or 0 · then per extent u64 length, u64 status
 *   NBD_CMD_BLOCK_STATUS with   0 u64 length of the effect · 8 u32 context ids, at least one
 *   PAYLOAD_LEN
 */

import { EINVAL } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import { readUint64, writeUint64 } from './big-endian.ts';

/** Bytes of a BLOCK_STATUS_EXT before its extents. */
export const BLOCK_STATUS_EXT_BYTES = 8;
export const EXTENT_EXT_BYTES = 16;
/** Bytes of the payload of a request before its context ids. */
export const BLOCK_STATUS_QUERY_BYTES = 8;

/** Writes BLOCK_STATUS_EXT_BYTES; `count` extents follow. */
export function encodeBlockStatusExt(target: Buffer, at: number, contextId: number, count: number): void {
  target.writeUInt32BE(contextId, at);
  target.writeUInt32BE(count, at + 4);
}

/** Writes EXTENT_EXT_BYTES: one extent. */
export function encodeExtentExt(target: Buffer, at: number, length: number, status: number): void {
  writeUint64(target, at, length);
  writeUint64(target, at + 8, status);
}

export type BlockStatusExt = { readonly contextId: number; readonly extents: readonly ExtentExt[] };
/** Infinity stands for what is above 2^53 - 1 (see big-endian.ts). */
export type ExtentExt = { readonly length: number; readonly status: number };

/**
 * Reads the payload of a BLOCK_STATUS_EXT chunk. Throws ProtocolError where its length is not that of one or more
 * extents, its count says otherwise, or an extent is empty.
 */
export function decodeBlockStatusExt(payload: Buffer): BlockStatusExt {
  const bytes = payload.length - BLOCK_STATUS_EXT_BYTES;
  if (bytes <= 0 || bytes % EXTENT_EXT_BYTES !== 0) {
    throw new ProtocolError(`A BLOCK_STATUS_EXT chunk has 8 and a multiple of 16 bytes, not ${payload.length}`);
  }
  const count = payload.readUInt32BE(4);
  if (count !== 0 && count !== bytes / EXTENT_EXT_BYTES) {
    throw new ProtocolError(`A BLOCK_STATUS_EXT chunk counts ${count} extents and has ${bytes / EXTENT_EXT_BYTES}`);
  }
  const extents: ExtentExt[] = [];
  for (let at = BLOCK_STATUS_EXT_BYTES; at < payload.length; at += EXTENT_EXT_BYTES) {
    const length = readUint64(payload, at);
    if (length === 0) throw new ProtocolError('An extent of a BLOCK_STATUS_EXT chunk is empty');
    extents.push({ length, status: readUint64(payload, at + 8) });
  }
  return { contextId: payload.readUInt32BE(0), extents };
}

export type BlockStatusQuery = { readonly length: number; readonly contextIds: readonly number[] };

export function encodeBlockStatusQuery(query: BlockStatusQuery): Buffer {
  const payload = Buffer.alloc(BLOCK_STATUS_QUERY_BYTES + 4 * query.contextIds.length);
  writeUint64(payload, 0, query.length);
  for (const [index, id] of query.contextIds.entries()) payload.writeUInt32BE(id, BLOCK_STATUS_QUERY_BYTES + 4 * index);
  return payload;
}

/** Throws ProtocolError with EINVAL, which a request can be answered with, where `payload` names no or half a context. */
export function decodeBlockStatusQuery(payload: Buffer): BlockStatusQuery {
  const bytes = payload.length - BLOCK_STATUS_QUERY_BYTES;
  if (bytes <= 0 || bytes % 4 !== 0) {
    throw new ProtocolError(`A payload of ${payload.length} bytes does not name the contexts of a BLOCK_STATUS`, {
      errno: EINVAL,
    });
  }
  const contextIds = Array.from({ length: bytes / 4 }, (_, index) =>
    payload.readUInt32BE(BLOCK_STATUS_QUERY_BYTES + 4 * index),
  );
  return { length: readUint64(payload, 0), contextIds };
}
