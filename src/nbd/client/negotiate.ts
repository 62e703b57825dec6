/** From an address to the transmission phase: connect, greet, agree, enter the export, all within one deadline. */

import { type Clock, systemClock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { ETIMEDOUT } from '../../base/errno.ts';
import { ColobusError } from '../../base/errors.ts';
import { BASE_ALLOCATION } from '../protocol/constants.ts';
import { describeNbdAddress, type NbdAddress } from '../uri.ts';
import type { ExportInfo } from './export-info.ts';
import { Handshake } from './handshake.ts';
import { HandshakeReader } from './handshake-reader.ts';
import { OptionRefused } from './option-refused.ts';
import type { ReplyFormat, SessionFeatures } from './session-features.ts';
import type { TlsSession } from './tls-session.ts';
import { unlessAborted } from './unless-aborted.ts';
import { Wire, type WireOwner } from './wire.ts';

export const DEFAULT_OPEN_TIMEOUT_MS = 10_000;
/** How long a server has to answer a goodbye. */
const LEAVE_TIMEOUT_MS = 1000;

export type OpenOptions = {
  readonly address: NbdAddress;
  /** The export's name; empty for the server's default. */
  readonly exportName?: string;
  /** For connecting and the handshake together; 10000 unless given. */
  readonly openTimeoutMs?: number;
  /** Encrypts the connection; where the server cannot, opening fails. In the clear unless given. */
  readonly tls?: TlsSession;
  /** Ask for structured replies, and with them for extents; true unless given. */
  readonly structuredReplies?: boolean;
  /** Ask for extended headers first, by which lengths have 64 bits; true unless given. */
  readonly extendedHeaders?: boolean;
  /** Names of the metadata contexts to ask about; `base:allocation` unless given. */
  readonly contexts?: readonly string[];
  /** Gives up connecting; what is thrown is the signal's reason. It has no effect on an open connection. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
};

/** A connection that has entered the transmission phase. */
export type Session = {
  readonly wire: Wire;
  readonly export: ExportInfo;
  readonly features: SessionFeatures;
  /** Makes `owner` the one who is told of what comes in, from the first byte after the handshake on. */
  handOver(owner: WireOwner): void;
};

/** Throws, with nothing left open, where the server cannot be reached or does not give the export. */
export async function negotiate(options: OpenOptions): Promise<Session> {
  const { exportName = '', contexts: wanted = [BASE_ALLOCATION] } = options;
  return await withHandshake(options, async (handshake, wire, reader) => {
    const replies = await negotiateReplies(handshake, options);
    const contexts = new Map<number, string>();
    if (replies !== 'simple' && wanted.length > 0) {
      for (const { id, name } of await handshake.setMetaContexts(exportName, wanted)) contexts.set(id, name);
    }
    return {
      wire,
      export: await handshake.enter(exportName),
      features: { protocol: handshake.protocol, tls: options.tls !== undefined, replies, contexts },
      handOver: owner => {
        wire.owner = owner;
        const early = reader.takeUnread();
        if (early.length > 0) owner.wireReceived(early, early.length);
      },
    };
  });
}

/** The best framing of replies that the server has and `options` want. */
export async function negotiateReplies(handshake: Handshake, options: OpenOptions): Promise<ReplyFormat> {
  if (!handshake.takesOptions || options.structuredReplies === false) return 'simple';
  if (options.extendedHeaders !== false && (await handshake.extendedHeaders())) return 'extended';
  return (await handshake.structuredReplies()) ? 'structured' : 'simple';
}

/** Runs `use` on a fresh connection that has greeted, and is encrypted where `options` want it; where it throws or does not end in time, the connection is cut. */
export async function withHandshake<T>(
  options: OpenOptions,
  use: (handshake: Handshake, wire: Wire, reader: HandshakeReader) => Promise<T>,
): Promise<T> {
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.openTimeoutMs ?? DEFAULT_OPEN_TIMEOUT_MS;
  const startMs = clock.nowMs();
  const reader = new HandshakeReader();
  options.signal?.throwIfAborted();
  const wire = await Wire.connect(options.address, reader, timeoutMs, clock, options.signal);
  const late = `The NBD server at ${describeNbdAddress(options.address)} did not finish the handshake within ${timeoutMs} ms`;
  const handshake = new Handshake(wire, reader);
  const run = async (): Promise<T> => {
    await handshake.greet();
    if (options.tls !== undefined) await handshake.startTls(options.tls.credentials, options.tls.hostname);
    return await use(handshake, wire, reader);
  };
  const remainingMs = Math.max(0, timeoutMs - (clock.nowMs() - startMs));
  try {
    return await unlessAborted(withDeadline(run(), remainingMs, clock, late), options.signal);
  } catch (error) {
    if (error instanceof OptionRefused) await takeLeave(handshake, clock);
    reader.fail(new ColobusError(late, { errno: ETIMEDOUT }));
    wire.destroy();
    throw error;
  }
}

/** Ends the options in the way that the server expects; one that does not answer is not waited for. */
export async function takeLeave(handshake: Handshake, clock: Clock): Promise<void> {
  await withDeadline(handshake.abort(), LEAVE_TIMEOUT_MS, clock, 'The server does not let go').catch(() => {});
}
