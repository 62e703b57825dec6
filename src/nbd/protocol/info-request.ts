/**
 * Data of NBD_OPT_INFO and NBD_OPT_GO (NBD proto.md, NBD_OPT_INFO).
 *
 * 0 u32 length of name · 4 name · u16 count · count times u16 NBD_INFO_* that the client asks for
 */

import { EINVAL } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import { decodeString, encodeCountedString } from './protocol-string.ts';

export type InfoRequest = { readonly exportName: string; readonly infos: readonly number[] };

export function encodeInfoRequest(request: InfoRequest): Buffer {
  const infos = Buffer.alloc(2 + 2 * request.infos.length);
  infos.writeUInt16BE(request.infos.length, 0);
  for (const [index, info] of request.infos.entries()) infos.writeUInt16BE(info, 2 + 2 * index);
  return Buffer.concat([encodeCountedString(request.exportName, 'export name'), infos]);
}

/** Throws ProtocolError where the lengths inside do not add up to the length of `data`. */
export function decodeInfoRequest(data: Buffer): InfoRequest {
  const countAt = data.length < 4 ? Number.POSITIVE_INFINITY : 4 + data.readUInt32BE(0);
  if (countAt + 2 > data.length || data.length !== countAt + 2 + 2 * data.readUInt16BE(countAt)) {
    throw new ProtocolError('The lengths inside the option do not add up', { errno: EINVAL });
  }
  const exportName = decodeString(data, 4, countAt - 4, 'export name');
  const infos = Array.from({ length: data.readUInt16BE(countAt) }, (_, index) =>
    data.readUInt16BE(countAt + 2 + 2 * index),
  );
  return { exportName, infos };
}
