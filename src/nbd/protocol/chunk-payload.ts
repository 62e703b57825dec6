/**
 * What the chunks of a structured reply carry (NBD proto.md, Structured reply types).
 *
 *   OFFSET_DATA    u64 offset, data
 *   OFFSET_HOLE    u64 offset, u32 length
 *   BLOCK_STATUS   u32 context id, then per extent u32 length, u32 status flags
 *   ERROR          u32 error, u16 length of the message, message
 *   ERROR_OFFSET   the same, u64 offset
 *
 * A chunk NONE has no payload.
 */

import { ProtocolError } from '../../base/errors.ts';
import { readUint64, writeUint64 } from './big-endian.ts';
import { NBD_REPLY_TYPE_ERROR_OFFSET } from './constants.ts';
import { decodeString } from './protocol-string.ts';

/** Bytes of an OFFSET_DATA before the data. */
export const OFFSET_DATA_BYTES = 8;
export const OFFSET_HOLE_BYTES = 12;
/** Bytes of a BLOCK_STATUS before its extents. */
export const BLOCK_STATUS_BYTES = 4;
export const EXTENT_BYTES = 8;
/** Bytes of an ERROR without a message. */
export const ERROR_BYTES = 6;

/** Writes OFFSET_DATA_BYTES; the data follows. */
export function encodeOffsetData(target: Buffer, at: number, offset: number): void {
  writeUint64(target, at, offset);
}

/** Writes OFFSET_HOLE_BYTES. */
export function encodeOffsetHole(target: Buffer, at: number, offset: number, length: number): void {
  writeUint64(target, at, offset);
  target.writeUInt32BE(length, at + 8);
}

/** Writes EXTENT_BYTES: one extent of a BLOCK_STATUS, whose payload starts with the u32 context id. */
export function encodeExtent(target: Buffer, at: number, length: number, flags: number): void {
  target.writeUInt32BE(length, at);
  target.writeUInt32BE(flags, at + 4);
}

/** The payload of an ERROR chunk, or of an ERROR_OFFSET where `offset` is given. */
export function encodeErrorPayload(error: number, message: string, offset: number | null = null): Buffer {
  const text = Buffer.from(message);
  const payload = Buffer.alloc(ERROR_BYTES + text.length + (offset === null ? 0 : 8));
  payload.writeUInt32BE(error, 0);
  payload.writeUInt16BE(text.length, 4);
  text.copy(payload, ERROR_BYTES);
  if (offset !== null) writeUint64(payload, ERROR_BYTES + text.length, offset);
  return payload;
}

export type ErrorPayload = { readonly error: number; readonly message: string; readonly offset: number | null };

/** Reads the payload of an error chunk of `type`. Throws ProtocolError where its lengths, error or text are wrong. */
export function decodeErrorPayload(payload: Buffer, type: number): ErrorPayload {
  if (payload.length < ERROR_BYTES) {
    throw new ProtocolError(`An error chunk has at least ${ERROR_BYTES} bytes, not ${payload.length}`);
  }
  const error = payload.readUInt32BE(0);
  if (error === 0) throw new ProtocolError('An error chunk names an error other than 0');
  const end = ERROR_BYTES + payload.readUInt16BE(4);
  const hasOffset = type === NBD_REPLY_TYPE_ERROR_OFFSET;
  const wanted = end + (hasOffset ? 8 : 0);
  if (payload.length < wanted) {
    throw new ProtocolError(`An error chunk with its message needs ${wanted} bytes, it has ${payload.length}`);
  }
  return {
    error,
    message: decodeString(payload, ERROR_BYTES, end - ERROR_BYTES, 'text of an error chunk'),
    offset: hasOffset ? readUint64(payload, end) : null,
  };
}
