/** Strings of the protocol: UTF-8 without NUL, at most 4096 bytes (NBD proto.md, Terminology). */

import { EINVAL } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import { NBD_MAX_STRING_BYTES } from './constants.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes `at` to `at + length` as a string; throws ProtocolError naming `what` where they are not one. */
export function decodeString(source: Buffer, at: number, length: number, what: string): string {
  if (at + length > source.length) throw new ProtocolError(`The ${what} runs past the end of its message`, WRONG);
  if (length > NBD_MAX_STRING_BYTES) {
    throw new ProtocolError(`The ${what} of ${length} bytes is longer than ${NBD_MAX_STRING_BYTES}`, WRONG);
  }
  const bytes = source.subarray(at, at + length);
  if (bytes.includes(0)) throw new ProtocolError(`The ${what} contains a NUL`, WRONG);
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new ProtocolError(`The ${what} is not UTF-8`, { errno: EINVAL, cause });
  }
}

/** The bytes of `text`; throws ProtocolError naming `what` where the protocol cannot carry it. */
export function encodeString(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > NBD_MAX_STRING_BYTES) {
    throw new ProtocolError(`The ${what} of ${bytes.length} bytes is longer than ${NBD_MAX_STRING_BYTES}`, WRONG);
  }
  if (bytes.includes(0)) throw new ProtocolError(`The ${what} contains a NUL`, WRONG);
  return bytes;
}

/** Encodes a u32 byte count followed by the string, as options carry names and queries. */
export function encodeCountedString(text: string, what: string): Buffer {
  const bytes = encodeString(text, what);
  const count = Buffer.alloc(4);
  count.writeUInt32BE(bytes.length, 0);
  return Buffer.concat([count, bytes]);
}

const WRONG = { errno: EINVAL };
