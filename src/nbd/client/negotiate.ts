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
import { Wire, type WireOwner } from './wire.ts';

export const DEFAULT_OPEN_TIMEOUT_MS = 10_000;

export type OpenOptions = {
  readonly address: NbdAddress;
  /** The export's name; empty for the server's default. */
  readonly exportName?: string;
  /** For connecting and the handshake together; 10000 unless given. */
  readonly openTimeoutMs?: number;
  /** Ask for structured replies, and with them for extents; true unless given. */
  readonly structuredReplies?: boolean;
  readonly clock?: Clock;
};

/** A connection that has entered the transmission phase. */
export type Session = {
  readonly wire: Wire;
  readonly export: ExportInfo;
  readonly structuredReplies: boolean;
  /** Ids of the metadata contexts by name. */
  readonly contexts: ReadonlyMap<string, number>;
  /** Makes `owner` the one who is told of what comes in, from the first byte after the handshake on. */
  handOver(owner: WireOwner): void;
};

/** Throws, with nothing left open, where the server cannot be reached or does not give the export. */
export async function negotiate(options: OpenOptions): Promise<Session> {
  const exportName = options.exportName ?? '';
  return await withHandshake(options, async (handshake, wire, reader) => {
    await handshake.greet();
    let structuredReplies = false;
    const contexts = new Map<string, number>();
    if (handshake.takesOptions && options.structuredReplies !== false) {
      structuredReplies = await handshake.structuredReplies();
      if (structuredReplies) {
        for (const context of await handshake.setMetaContexts(exportName, [BASE_ALLOCATION])) {
          contexts.set(context.name, context.id);
        }
      }
    }
    const info =
      (handshake.takesOptions ? await handshake.go(exportName) : null) ?? (await handshake.exportName(exportName));
    return {
      wire,
      export: info,
      structuredReplies,
      contexts,
      handOver: owner => {
        wire.owner = owner;
        const early = reader.takeUnread();
        if (early.length > 0) owner.wireReceived(early, early.length);
      },
    };
  });
}

/** Runs `use` on a fresh connection; where it throws or does not end in time, the connection is cut. */
export async function withHandshake<T>(
  options: OpenOptions,
  use: (handshake: Handshake, wire: Wire, reader: HandshakeReader) => Promise<T>,
): Promise<T> {
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.openTimeoutMs ?? DEFAULT_OPEN_TIMEOUT_MS;
  const startMs = clock.nowMs();
  const reader = new HandshakeReader();
  const wire = await Wire.connect(options.address, reader, timeoutMs, clock);
  const late = `The NBD server at ${describeNbdAddress(options.address)} did not finish the handshake within ${timeoutMs} ms`;
  const remainingMs = Math.max(0, timeoutMs - (clock.nowMs() - startMs));
  try {
    return await withDeadline(use(new Handshake(wire, reader), wire, reader), remainingMs, clock, late);
  } catch (error) {
    reader.fail(new ColobusError(late, { errno: ETIMEDOUT }));
    wire.destroy();
    throw error;
  }
}
