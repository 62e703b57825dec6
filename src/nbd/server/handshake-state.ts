/** What the handshake of a connection has come to, step by step. */

import type { NbdExport } from './nbd-export.ts';

/** The exports a client may ask for. */
export interface ExportDirectory {
  find(name: string): NbdExport | undefined;
  list(): readonly NbdExport[];
}

/** Whether clients may, must, or cannot encrypt (NBD proto.md, TLS support: SELECTIVETLS, FORCEDTLS, NOTLS). */
export type TlsMode = 'off' | 'allow' | 'require';

/** The form of replies: extended headers go with a longer form of requests too. */
export type ReplyStyle = 'simple' | 'structured' | 'extended';

/** What was negotiated so far on a connection. */
export type HandshakeState = {
  readonly noZeroes: boolean;
  /** The connection is encrypted. */
  readonly secure: boolean;
  readonly replyStyle: ReplyStyle;
  /** The contexts of the last NBD_OPT_SET_META_CONTEXT; they hold for that export only. */
  readonly selected: { readonly exportName: string; readonly contextIds: readonly number[] } | null;
};

/** Nothing has been negotiated: at the start, and again when encryption begins. */
export function blankState(noZeroes: boolean, secure: boolean): HandshakeState {
  return { noZeroes, secure, replyStyle: 'simple', selected: null };
}

/** The result of a handshake: what the transmission phase goes by. */
export type Session = {
  readonly target: NbdExport;
  readonly replyStyle: ReplyStyle;
  readonly contextIds: readonly number[];
};

/** Contexts hold only where the export is the one they were selected for. */
export function sessionOf(state: HandshakeState, target: NbdExport): Session {
  const { replyStyle, selected } = state;
  return { target, replyStyle, contextIds: selected?.exportName === target.name ? selected.contextIds : [] };
}
