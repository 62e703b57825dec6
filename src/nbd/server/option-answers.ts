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
  NBD_OPT_EXTENDED_HEADERS,
  NBD_OPT_GO,
  NBD_OPT_INFO,
  NBD_OPT_LIST,
  NBD_OPT_LIST_META_CONTEXT,
  NBD_OPT_SET_META_CONTEXT,
  NBD_OPT_STARTTLS,
  NBD_OPT_STRUCTURED_REPLY,
  NBD_REP_ACK,
  NBD_REP_ERR_BLOCK_SIZE_REQD,
  NBD_REP_ERR_EXT_HEADER_REQD,
  NBD_REP_ERR_INVALID,
  NBD_REP_ERR_POLICY,
  NBD_REP_ERR_TLS_REQD,
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
import {
  blankState,
  type ExportDirectory,
  type HandshakeState,
  type Session,
  sessionOf,
  type TlsMode,
} from './handshake-state.ts';

/** What is the same for all connections of a server. */
export type AnswerContext = { readonly directory: ExportDirectory; readonly tlsMode: TlsMode };

export type OptionAnswer = {
  readonly state: HandshakeState;
  readonly replies: readonly Buffer[];
  readonly next: 'continue' | 'close' | 'start-tls' | Session;
};

/** Longest client-supplied name that an error text repeats. */
const MAX_ECHOED = 80;

/** Answers one option. Throws ProtocolError where nothing but disconnecting is left. */
export function answerOption(
  state: HandshakeState,
  option: number,
  data: Buffer,
  context: AnswerContext,
): OptionAnswer {
  const mustEncrypt = context.tlsMode === 'require' && !state.secure;
  if (option === NBD_OPT_EXPORT_NAME) {
    if (mustEncrypt) throw new ProtocolError('The client asked for an export before it started TLS');
    return answerExportName(state, data, context.directory);
  }
  if (mustEncrypt && option !== NBD_OPT_STARTTLS && option !== NBD_OPT_ABORT) {
    return goOn(state, refuse(option, NBD_REP_ERR_TLS_REQD, 'Start TLS first'));
  }
  try {
    return answerFixed(state, option, data, context);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return goOn(forgetFailed(state, option), refuse(option, NBD_REP_ERR_INVALID, error.message));
  }
}

function answerFixed(state: HandshakeState, option: number, data: Buffer, context: AnswerContext): OptionAnswer {
  switch (option) {
    case NBD_OPT_ABORT:
      return { state, replies: [acknowledge(option)], next: 'close' };
    case NBD_OPT_LIST:
      return goOn(state, ...answerList(data, context.directory));
    case NBD_OPT_STARTTLS:
      return answerStartTls(state, data, context.tlsMode);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
      return answerInfo(state, option, data, context.directory);
    case NBD_OPT_STRUCTURED_REPLY:
    case NBD_OPT_EXTENDED_HEADERS:
      return answerReplyStyle(state, option, data);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
      return answerMetaContext(state, option, data, context.directory);
    default:
      return goOn(state, refuse(option, NBD_REP_ERR_UNSUP, `Option ${option} is not supported`));
  }
}

/** There is no way to answer an error here: the connection ends instead. */
function answerExportName(state: HandshakeState, data: Buffer, directory: ExportDirectory): OptionAnswer {
  if (state.replyStyle === 'extended') throw new ProtocolError('Extended headers exclude NBD_OPT_EXPORT_NAME');
  const target = directory.find(decodeString(data, 0, data.length, 'export name'));
  if (target === undefined) throw new ProtocolError('The client asked for an export that is not there');
  const session = sessionOf(state, target);
  const reply = encodeExportNameReply(
    { sizeBytes: target.sizeBytes, flags: target.transmissionFlags(session) },
    state.noZeroes,
  );
  return { state, replies: [reply], next: session };
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

/** Nothing that a third party could have said in plain text holds when encryption begins. */
function answerStartTls(state: HandshakeState, data: Buffer, tlsMode: TlsMode): OptionAnswer {
  expectNoData(data);
  if (tlsMode === 'off') {
    return goOn(state, refuse(NBD_OPT_STARTTLS, NBD_REP_ERR_POLICY, 'This server does not offer TLS'));
  }
  if (state.secure) throw new ProtocolError('TLS has been started already');
  return { state: blankState(state.noZeroes, true), replies: [acknowledge(NBD_OPT_STARTTLS)], next: 'start-tls' };
}

function answerInfo(state: HandshakeState, option: number, data: Buffer, directory: ExportDirectory): OptionAnswer {
  const { exportName, infos } = decodeInfoRequest(data);
  const target = directory.find(exportName);
  if (target === undefined) return goOn(state, unknownExport(option, exportName));
  const { blockSize } = target;
  if (blockSize.minimum > 1 && !infos.includes(NBD_INFO_BLOCK_SIZE)) {
    const text = `Ask for the block size: requests must be multiples of ${blockSize.minimum} bytes`;
    // Told along with the refusal, they save the client a round trip.
    const sizes = encodeOptionReply(option, NBD_REP_INFO, encodeInfoReply({ kind: 'block-size', ...blockSize }));
    return goOn(state, sizes, refuse(option, NBD_REP_ERR_BLOCK_SIZE_REQD, text));
  }
  const session = sessionOf(state, target);
  const flags = target.transmissionFlags(session);
  const replies = [encodeInfoReply({ kind: 'export', sizeBytes: target.sizeBytes, flags })];
  if (infos.includes(NBD_INFO_NAME)) replies.push(encodeInfoReply({ kind: 'name', name: target.name }));
  if (infos.includes(NBD_INFO_DESCRIPTION) && target.description !== '') {
    replies.push(encodeInfoReply({ kind: 'description', description: target.description }));
  }
  replies.push(encodeInfoReply({ kind: 'block-size', ...blockSize }));
  return {
    state,
    replies: [...replies.map(reply => encodeOptionReply(option, NBD_REP_INFO, reply)), acknowledge(option)],
    next: option === NBD_OPT_GO ? session : 'continue',
  };
}

/** Extended headers take the place of structured replies, and there is no way back. */
function answerReplyStyle(state: HandshakeState, option: number, data: Buffer): OptionAnswer {
  expectNoData(data);
  const wanted = option === NBD_OPT_EXTENDED_HEADERS ? 'extended' : 'structured';
  if (state.replyStyle === wanted) throw new ProtocolError(`The option was negotiated already`);
  if (state.replyStyle === 'extended') {
    return goOn(state, refuse(option, NBD_REP_ERR_EXT_HEADER_REQD, 'Extended headers were negotiated already'));
  }
  return goOn({ ...state, replyStyle: wanted }, acknowledge(option));
}

function answerMetaContext(
  state: HandshakeState,
  option: number,
  data: Buffer,
  directory: ExportDirectory,
): OptionAnswer {
  const { exportName, queries } = decodeMetaContextRequest(data);
  if (state.replyStyle === 'simple') throw new ProtocolError('Negotiate structured replies before metadata contexts');
  const target = directory.find(exportName);
  if (target === undefined) return goOn(forgetFailed(state, option), unknownExport(option, exportName));
  const listing = option === NBD_OPT_LIST_META_CONTEXT;
  const chosen = target.metaContexts
    .map(({ name }, index) => ({ name, id: index + 1 }))
    .filter(({ name }) => (listing ? isListed(name, queries) : queries.includes(name)));
  const replies = chosen.map(({ name, id }) =>
    encodeOptionReply(option, NBD_REP_META_CONTEXT, encodeMetaContext({ id: listing ? 0 : id, name })),
  );
  const selected = listing ? state.selected : { exportName, contextIds: chosen.map(({ id }) => id) };
  return goOn({ ...state, selected }, ...replies, acknowledge(option));
}

/** In a listing no query asks for all, and one that ends in a colon, as `base:`, for all that start with it. */
function isListed(context: string, queries: readonly string[]): boolean {
  return (
    queries.length === 0 ||
    queries.some(query => context === query || (query.endsWith(':') && context.startsWith(query)))
  );
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
