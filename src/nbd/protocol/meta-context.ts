/**
 * Metadata contexts in the handshake (NBD proto.md, Metadata querying).
 *
 * NBD_OPT_LIST_META_CONTEXT, NBD_OPT_SET_META_CONTEXT:
 *   0 u32 length of export name · 4 name · u32 count · count times (u32 length · query)
 * NBD_REP_META_CONTEXT:
 *   0 u32 context id · 4 context name
 */

import { EINVAL } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import { decodeString, encodeCountedString, encodeString } from './protocol-string.ts';

export type MetaContextRequest = { readonly exportName: string; readonly queries: readonly string[] };
export type MetaContext = { readonly id: number; readonly name: string };

export function encodeMetaContextRequest(request: MetaContextRequest): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32BE(request.queries.length, 0);
  return Buffer.concat([
    encodeCountedString(request.exportName, 'export name'),
    count,
    ...request.queries.map(query => encodeCountedString(query, 'metadata context query')),
  ]);
}

/** Throws ProtocolError where the lengths inside do not add up to the length of `data`. */
export function decodeMetaContextRequest(data: Buffer): MetaContextRequest {
  let at = 0;
  const takeNumber = (): number => {
    if (at + 4 > data.length) throw unequalLengths();
    at += 4;
    return data.readUInt32BE(at - 4);
  };
  const takeString = (what: string): string => {
    const length = takeNumber();
    at += length;
    return decodeString(data, at - length, length, what);
  };
  const exportName = takeString('export name');
  const count = takeNumber();
  // Each query takes at least the 4 bytes of its length, so a count cannot make this loop longer than the data.
  const queries: string[] = [];
  while (queries.length < count) queries.push(takeString('metadata context query'));
  if (at !== data.length) throw unequalLengths();
  return { exportName, queries };
}

export function encodeMetaContext(context: MetaContext): Buffer {
  const id = Buffer.alloc(4);
  id.writeUInt32BE(context.id, 0);
  return Buffer.concat([id, encodeString(context.name, 'metadata context name')]);
}

/** Throws ProtocolError where `data` is cut off or the name is not a string. */
export function decodeMetaContext(data: Buffer): MetaContext {
  if (data.length < 5) throw new ProtocolError('A metadata context of the server is cut off');
  return { id: data.readUInt32BE(0), name: decodeString(data, 4, data.length - 4, 'metadata context name') };
}

function unequalLengths(): ProtocolError {
  return new ProtocolError('The lengths inside the option do not add up', { errno: EINVAL });
}
