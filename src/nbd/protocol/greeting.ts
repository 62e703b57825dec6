/**
 * The first bytes of a connection (NBD proto.md, Newstyle negotiation).
 *
 * Server: 0 u64 NBDMAGIC · 8 u64 IHAVEOPT · 16 u16 handshake flags
 * Client: 0 u32 client flags
 */

import { ProtocolError } from '../../base/errors.ts';
import {
  IHAVEOPT_HI,
  IHAVEOPT_LO,
  NBDMAGIC_HI,
  NBDMAGIC_LO,
  OLDSTYLE_MAGIC_HI,
  OLDSTYLE_MAGIC_LO,
} from './constants.ts';

export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;

export function encodeGreeting(target: Buffer, at: number, handshakeFlags: number): void {
  target.writeUInt32BE(NBDMAGIC_HI, at);
  target.writeUInt32BE(NBDMAGIC_LO, at + 4);
  target.writeUInt32BE(IHAVEOPT_HI, at + 8);
  target.writeUInt32BE(IHAVEOPT_LO, at + 12);
  target.writeUInt16BE(handshakeFlags, at + 16);
}

/** The handshake flags of a server's greeting. Throws ProtocolError where it is not a newstyle NBD server's. */
export function decodeGreeting(source: Buffer, at: number): number {
  if (source.readUInt32BE(at) !== NBDMAGIC_HI || source.readUInt32BE(at + 4) !== NBDMAGIC_LO) {
    throw new ProtocolError('The peer is not an NBD server: its greeting lacks the magic number');
  }
  const hi = source.readUInt32BE(at + 8);
  const lo = source.readUInt32BE(at + 12);
  if (hi === OLDSTYLE_MAGIC_HI && lo === OLDSTYLE_MAGIC_LO) {
    throw new ProtocolError('The server speaks oldstyle NBD only; use one that speaks newstyle');
  }
  if (hi !== IHAVEOPT_HI || lo !== IHAVEOPT_LO) {
    throw new ProtocolError('The greeting of the server has an unknown second magic number');
  }
  return source.readUInt16BE(at + 16);
}

export function encodeClientFlags(target: Buffer, at: number, clientFlags: number): void {
  target.writeUInt32BE(clientFlags, at);
}

export function decodeClientFlags(source: Buffer, at: number): number {
  return source.readUInt32BE(at);
}
