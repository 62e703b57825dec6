/**
 * Data of NBD_REP_SERVER, one export of a listing (NBD proto.md, NBD_OPT_LIST).
 *
 * 0 u32 length of name · 4 name · description for people
 */

import { ProtocolError } from '../../base/errors.ts';
import { decodeString, encodeCountedString, encodeString } from './protocol-string.ts';

export type ListedExport = { readonly name: string; readonly description: string };

export function encodeListReply(listed: ListedExport): Buffer {
  return Buffer.concat([
    encodeCountedString(listed.name, 'export name'),
    encodeString(listed.description, 'description'),
  ]);
}

/** Throws ProtocolError where the name runs past the end of `data` or a string is not one. */
export function decodeListReply(data: Buffer): ListedExport {
  if (data.length < 4) throw new ProtocolError('A listed export is cut off');
  const nameLength = data.readUInt32BE(0);
  const name = decodeString(data, 4, nameLength, 'export name');
  const descriptionAt = 4 + nameLength;
  return { name, description: decodeString(data, descriptionAt, data.length - descriptionAt, 'description') };
}
