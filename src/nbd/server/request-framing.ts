/** RequestFraming: where a command ends, with compact and with extended headers. */

import { NBD_CMD_FLAG_PAYLOAD_LEN, NBD_CMD_WRITE } from '../protocol/constants.ts';
import { decodeExtendedRequest, EXTENDED_REQUEST_BYTES } from '../protocol/extended-request.ts';
import { decodeRequest, REQUEST_BYTES, type RequestHeader } from '../protocol/request.ts';

export type RequestFraming = {
  readonly headerBytes: number;
  /** Throws ProtocolError where the magic is wrong. */
  decode(source: Buffer, at: number, header: RequestHeader): void;
  /** Bytes that follow the header. */
  payloadBytes(header: RequestHeader): number;
};

export const COMPACT_FRAMING: RequestFraming = {
  headerBytes: REQUEST_BYTES,
  decode: decodeRequest,
  payloadBytes: header => (header.type === NBD_CMD_WRITE ? header.length : 0),
};

export const EXTENDED_FRAMING: RequestFraming = {
  headerBytes: EXTENDED_REQUEST_BYTES,
  decode: decodeExtendedRequest,
  payloadBytes: header => ((header.flags & NBD_CMD_FLAG_PAYLOAD_LEN) !== 0 ? header.length : 0),
};
