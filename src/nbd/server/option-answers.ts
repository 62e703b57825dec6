/**
 * What the server answers to each option of the handshake (NBD proto.md, Option types).
 *
 * Pure: `answerOption(state, …)` gives the new state, the replies, and what comes next. A mistake of the client inside
 * an option is answered with an error and the handshake goes on.
 */

import { ProtocolError } from '../../base/errors.ts';
import {
  NBD_INFO_BLOCK_SIZE,
  NBD_INFO_DESCRIPTION,
  NBD_INFO_NAME,
  NBD_OPT_ABORT,
  NBD_OPT_EXPORT_NAME,
  NBD_OPT_GO,
  NBD_OPT_INFO,
  NBD_OPT_LIST,
  NBD_OPT_LIST_META_CONTEXT,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_BLOCK_SIZE_REQD,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_UNKNOWN,
  NBD_REP_ERR_UNSUP,
  NBD_REP_INFO,
  NBD_REP_META_CONTEXT,
  NBD_REP_SERVER,
} from '../protocol/constants.ts';
import { encodeExportNameReply } from '../protocol/export-name-reply.ts';
import { encodeInfoReply } from '../protocol/info-reply.ts';
import { decodeInfoRequest } from '../protocol/info-request.ts';
import { encodeListReply } from '../protocol/list-reply.ts';
import { decodeMetaContextRequest, encodeMetaContext } from '../protocol/meta-context.ts';
import { encodeOptionReply } from '../protocol/option-reply.ts';
import { decodeString } from '../protocol/protocol-string.ts';
import type { NbdExport } from './nbd-export.ts';

/** The exports a client may ask for. */
export interface ExportDirectory {
  find(name: string): NbdExport | undefined;
  list(): readonly NbdExport[];
}

/** What was negotiated so far on a connection. */
export type HandshakeState = {
  readonly noZeroes: boolean;
  readonly structuredReplies: boolean;
  /** The contexts of the last NBD_OPT_SET_META_CONTEXT; they hold for that export only. */
  readonly selected: { readonly exportName: string; readonly contextIds: readonly number[] } | null;
};

/** The result of a handshake: what the transmission phase goes by. */
export type Session = {
  readonly target: NbdExport;
  readonly structuredReplies: boolean;
  readonly contextIds: readonly number[];
};

export type OptionAnswer = {
  readonly state: HandshakeState;
  readonly replies: readonly Buffer[];
  readonly next: 'continue' | 'close' | Session;
};

/** Longest client-supplied name that an error text repeats. */
const MAX_ECHOED = 80;

/** Answers one option. Throws ProtocolError where nothing but disconnecting is left. */
export function answerOption(
  state: HandshakeState,
  option: number,
  data: Buffer,
  directory: ExportDirectory,
): OptionAnswer {
  if (option === NBD_OPT_EXPORT_NAME) return answerExportName(state, data, directory);
  try {
    return answerFixed(state, option, data, directory);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return goOn(forgetFailed(state, option), refuse(option, NBD_REP_ERR_INVALID, error.message));
  }
}

function answerFixed(state: HandshakeState, option: number, data: Buffer, directory: ExportDirectory): OptionAnswer {
  switch (option) {
    case NBD_OPT_ABORT:
      return { state, replies: [acknowledge(option)], next: 'close' };
    case NBD_OPT_LIST:
      return goOn(state, ...answerList(data, directory));
    case NBD_OPT_STARTTLS:
      expectNoData(data);
      return goOn(state, refuse(option, NBD_REP_ERR_POLICY, 'This server does not offer TLS'));
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
      return answerInfo(state, option, data, directory);
    case NBD_OPT_STRUCTURED_REPLY:
      expectNoData(data);
      if (state.structuredReplies) throw new ProtocolError('Structured replies are already negotiated');
      return goOn({ ...state, structuredReplies: true }, acknowledge(option));
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
      return answerMetaContext(state, option, data, directory);
    default:
      return goOn(state, refuse(option, NBD_REP_ERR_UNSUP, `Option ${option} is not supported`));
  }
}

/** There is no way to answer an error here: the connection ends instead. */
function answerExportName(state: HandshakeState, data: Buffer, directory: ExportDirectory): OptionAnswer {
  const target = directory.find(decodeString(data, 0, data.length, 'export name'));
  if (target === undefined) throw new ProtocolError('The client asked for an export that is not there');
  const flags = target.transmissionFlags(state.structuredReplies);
  const reply = encodeExportNameReply({ sizeBytes: target.sizeBytes, flags }, state.noZeroes);
  return { state, replies: [reply], next: sessionOf(state, target) };
}

function answerList(data: Buffer, directory: ExportDirectory): Buffer[] {
  expectNoData(data);
  const listed = directory
    .list()
    .map(({ name, description }) =>
      encodeOptionReply(NBD_OPT_LIST, NBD_REP_SERVER, encodeListReply({ name, description })),
    );
  return [...listed, acknowledge(NBD_OPT_LIST)];
}

function answerInfo(state: HandshakeState, option: number, data: Buffer, directory: ExportDirectory): OptionAnswer {
  const { exportName, infos } = decodeInfoRequest(data);
  const target = directory.find(exportName);
  if (target === undefined) return goOn(state, unknownExport(option, exportName));
  const { blockSize } = target;
  if (blockSize.minimum > 1 && !infos.includes(NBD_INFO_BLOCK_SIZE)) {
    const text = `Ask for the block size: requests must be multiples of ${blockSize.minimum} bytes`;
    return goOn(state, refuse(option, NBD_REP_ERR_BLOCK_SIZE_REQD, text));
  }
  const flags = target.transmissionFlags(state.structuredReplies);
  const replies = [encodeInfoReply({ kind: 'export', sizeBytes: target.sizeBytes, flags })];
  if (infos.includes(NBD_INFO_NAME)) replies.push(encodeInfoReply({ kind: 'name', name: target.name }));
  if (infos.includes(NBD_INFO_DESCRIPTION) && target.description !== '') {
    replies.push(encodeInfoReply({ kind: 'description', description: target.description }));
  }
  replies.push(encodeInfoReply({ kind: 'block-size', ...blockSize }));
  return {
    state,
    replies: [...replies.map(reply => encodeOptionReply(option, NBD_REP_INFO, reply)), acknowledge(option)],
    next: option === NBD_OPT_GO ? sessionOf(state, target) : 'continue',
  };
}

function answerMetaContext(
  state: HandshakeState,
  option: number,
  data: Buffer,
  directory: ExportDirectory,
): OptionAnswer {
  const { exportName, queries } = decodeMetaContextRequest(data);
  if (!state.structuredReplies) throw new ProtocolError('Negotiate structured replies before metadata contexts');
  const target = directory.find(exportName);
  if (target === undefined) return goOn(forgetFailed(state, option), unknownExport(option, exportName));
  const listing = option === NBD_OPT_LIST_META_CONTEXT;
  const contextIds = target.metaContexts
    .map((name, index) => ({ name, id: index + 1 }))
    .filter(({ name }) => (listing ? isListed(name, queries) : queries.includes(name)))
    .map(({ id }) => id);
  const replies = contextIds.map(id =>
    encodeOptionReply(
      option,
      NBD_REP_META_CONTEXT,
      encodeMetaContext({ id: listing ? 0 : id, name: target.metaContexts[id - 1] as string }),
    ),
  );
  const selected = listing ? state.selected : { exportName, contextIds };
  return goOn({ ...state, selected }, ...replies, acknowledge(option));
}

/** In a listing no query asks for all, and `base:` for all of that namespace. */
function isListed(context: string, queries: readonly string[]): boolean {
  const namespace = context.slice(0, context.indexOf(':') + 1);
  return queries.length === 0 || queries.includes(context) || queries.includes(namespace);
}

/** Contexts hold only where the export is the one they were selected for. */
function sessionOf(state: HandshakeState, target: NbdExport): Session {
  const { structuredReplies, selected } = state;
  return { target, structuredReplies, contextIds: selected?.exportName === target.name ? selected.contextIds : [] };
}

/** A failed selection of contexts leaves none selected. */
function forgetFailed(state: HandshakeState, option: number): HandshakeState {
  return option === NBD_OPT_SET_META_CONTEXT ? { ...state, selected: null } : state;
}

function goOn(state: HandshakeState, ...replies: readonly Buffer[]): OptionAnswer {
  return { state, replies, next: 'continue' };
}

function acknowledge(option: number): Buffer {
  return encodeOptionReply(option, NBD_REP_ACK, Buffer.alloc(0));
}

function refuse(option: number, type: number, text: string): Buffer {
  return encodeOptionReply(option, type, Buffer.from(text, 'utf8'));
}

function unknownExport(option: number, name: string): Buffer {
  const shown = name.length > MAX_ECHOED ? `${name.slice(0, MAX_ECHOED)}…` : name;
  return refuse(option, NBD_REP_ERR_UNKNOWN, `Export '${shown}' is not present`);
}

function expectNoData(data: Buffer): void {
  if (data.length > 0) throw new ProtocolError('The option takes no data');
}
