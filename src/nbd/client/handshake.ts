/**
 * Handshake: the client's half of the fixed newstyle negotiation, one method per step.
 *
 *   greet ──► [startTls] ──► [extendedHeaders or structuredReplies ──► setMetaContexts] ──► go ──► transmission
 *     │                                                                                     │ unsupported   ▲
 *     │                                                                                     └─► exportName ─┤
 *     ├──► list, info, listMetaContexts ──► abort                                                           │
 *     ├──► exportName, where the server is not fixed newstyle ──────────────────────────────────────────────┤
 *     └──► oldstyle, where it speaks first and last ────────────────────────────────────────────────────────┘
 *
 * The caller bounds the whole with a deadline. Source: NBD proto.md, Newstyle negotiation.
 */

import { ENOENT } from '../../base/errno.ts';
import { ColobusError, ProtocolError } from '../../base/errors.ts';
import {
  NBD_FLAG_C_FIXED_NEWSTYLE,
  NBD_FLAG_C_NO_ZEROES,
  NBD_FLAG_FIXED_NEWSTYLE,
  NBD_FLAG_NO_ZEROES,
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
  NBD_REP_ERR_UNSUP,
  NBD_REP_FLAG_ERROR,
  NBD_REP_INFO,
  NBD_REP_META_CONTEXT,
  NBD_REP_SERVER,
} from '../protocol/constants.ts';
import { decodeExportNameReply, exportNameReplyBytes } from '../protocol/export-name-reply.ts';
import { CLIENT_FLAGS_BYTES, decodeGreeting, encodeClientFlags, GREETING_BYTES } from '../protocol/greeting.ts';
import { decodeInfoReply, type InfoReply } from '../protocol/info-reply.ts';
import { encodeInfoRequest } from '../protocol/info-request.ts';
import { decodeListReply, type ListedExport } from '../protocol/list-reply.ts';
import { decodeMetaContext, encodeMetaContextRequest, type MetaContext } from '../protocol/meta-context.ts';
import {
  decodeOldstyleGreeting,
  GREETING_MAGIC_BYTES,
  isOldstyle,
  OLDSTYLE_GREETING_BYTES,
} from '../protocol/oldstyle-greeting.ts';
import { encodeOption } from '../protocol/option.ts';
import { decodeOptionReplyHeader, OPTION_REPLY_HEADER_BYTES } from '../protocol/option-reply.ts';
import { encodeString } from '../protocol/protocol-string.ts';
import type { TlsCredentials } from '../tls/tls-credentials.ts';
import { checkedBlockSizes, type ExportInfo, exportInfo } from './export-info.ts';
import type { HandshakeReader } from './handshake-reader.ts';
import { OptionRefused, printable } from './option-refused.ts';
import type { SessionFeatures } from './session-features.ts';
import type { Wire } from './wire.ts';

/** No reply to an option needs more data than this. */
const MAX_REPLY_DATA_BYTES = 64 * 1024;
/** All replies to one option together, so that a server cannot fill a client's memory. */
const MAX_REPLIES_BYTES = 16 * 1024 * 1024;
const NO_DATA = Buffer.alloc(0);

type Protocol = SessionFeatures['protocol'];
type OptionReply = { readonly type: number; readonly data: Buffer };

export class Handshake {
  readonly #wire: Wire;
  readonly #reader: HandshakeReader;
  #protocol: Protocol = 'newstyle';
  #noZeroes = false;
  #oldstyleExport: ExportInfo | null = null;

  constructor(wire: Wire, reader: HandshakeReader) {
    this.#wire = wire;
    this.#reader = reader;
  }

  /** Exchanges greetings. Only then may another method be called. */
  async greet(): Promise<void> {
    const magic = await this.#reader.read(GREETING_MAGIC_BYTES);
    if (isOldstyle(magic, 0)) {
      this.#protocol = 'oldstyle';
      const rest = await this.#reader.read(OLDSTYLE_GREETING_BYTES - GREETING_MAGIC_BYTES);
      const { sizeBytes, flags } = decodeOldstyleGreeting(Buffer.concat([magic, rest]), 0);
      this.#oldstyleExport = exportInfo('', '', sizeBytes, flags, null);
      return;
    }
    const rest = await this.#reader.read(GREETING_BYTES - GREETING_MAGIC_BYTES);
    const flags = decodeGreeting(Buffer.concat([magic, rest]), 0);
    if ((flags & NBD_FLAG_FIXED_NEWSTYLE) !== 0) this.#protocol = 'newstyle-fixed';
    this.#noZeroes = (flags & NBD_FLAG_NO_ZEROES) !== 0;
    const answer = Buffer.alloc(CLIENT_FLAGS_BYTES);
    encodeClientFlags(
      answer,
      0,
      (this.takesOptions ? NBD_FLAG_C_FIXED_NEWSTYLE : 0) | (this.#noZeroes ? NBD_FLAG_C_NO_ZEROES : 0),
    );
    this.#wire.send(answer);
  }

  get protocol(): Protocol {
    return this.#protocol;
  }

  /** False for a server that understands nothing but `exportName`, or not even that. */
  get takesOptions(): boolean {
    return this.#protocol === 'newstyle-fixed';
  }

  /**
   * Goes on in TLS. Throws where the server does not offer it or cannot prove who it is: there is no going on in the
   * clear. `hostname` is whom the server's certificate must name; null for anybody.
   */
  async startTls(credentials: TlsCredentials, hostname: string | null): Promise<void> {
    if (!this.takesOptions) throw new ColobusError('The server is too old for TLS; connect without it or replace it');
    try {
      await this.#option(NBD_OPT_STARTTLS, NO_DATA, 'TLS', reply => {
        throw unexpected(reply, 'NBD_OPT_STARTTLS');
      });
    } catch (error) {
      if (!(error instanceof OptionRefused)) throw error;
      throw new ColobusError(
        `The server offers no TLS, which is required: ${error.message}; give the server credentials or use nbd://`,
        { errno: error.errno, cause: error },
      );
    }
    if (this.#reader.takeUnread().length > 0) {
      throw new ProtocolError('The server sent bytes in the clear behind its consent to TLS');
    }
    await this.#wire.startTls(credentials, hostname);
  }

  /** Asks for extended headers, which include structured replies; false where the server has none. */
  async extendedHeaders(): Promise<boolean> {
    return await this.#isGranted(NBD_OPT_EXTENDED_HEADERS, NO_DATA, reply => {
      throw unexpected(reply, 'NBD_OPT_EXTENDED_HEADERS');
    });
  }

  /** Asks for structured replies; false where the server has none. */
  async structuredReplies(): Promise<boolean> {
    return await this.#isGranted(NBD_OPT_STRUCTURED_REPLY, NO_DATA, reply => {
      throw unexpected(reply, 'NBD_OPT_STRUCTURED_REPLY');
    });
  }

  /** Selects metadata contexts by their exact names and returns those the server has. Needs structured replies. */
  async setMetaContexts(exportName: string, queries: readonly string[]): Promise<readonly MetaContext[]> {
    const contexts: MetaContext[] = [];
    const data = encodeMetaContextRequest({ exportName, queries });
    const granted = await this.#isGranted(NBD_OPT_SET_META_CONTEXT, data, reply => {
      if (reply.type !== NBD_REP_META_CONTEXT) throw unexpected(reply, 'NBD_OPT_SET_META_CONTEXT');
      const context = decodeMetaContext(reply.data);
      if (!queries.includes(context.name) || contexts.some(known => known.name === context.name)) {
        throw new ProtocolError(`The server selected the metadata context '${printable(context.name)}' unasked`);
      }
      if (contexts.some(known => known.id === context.id)) {
        throw new ProtocolError(`The server gave two metadata contexts the id ${context.id}`);
      }
      contexts.push(context);
    });
    return granted ? contexts : [];
  }

  /** The names of the metadata contexts that the server has for an export; none where it does not tell. */
  async listMetaContexts(exportName: string): Promise<readonly string[]> {
    const names: string[] = [];
    const data = encodeMetaContextRequest({ exportName, queries: [] });
    await this.#isGranted(NBD_OPT_LIST_META_CONTEXT, data, reply => {
      if (reply.type !== NBD_REP_META_CONTEXT) throw unexpected(reply, 'NBD_OPT_LIST_META_CONTEXT');
      names.push(decodeMetaContext(reply.data).name);
    });
    return names;
  }

  /**
   * Enters transmission on the export, or throws saying why the server refused. Returns null where the server does not
   * know NBD_OPT_GO: then `exportName` remains, which is as safe: where TLS was asked for, it is in use by now.
   */
  async go(exportName: string): Promise<ExportInfo | null> {
    try {
      return await this.#infoOf(NBD_OPT_GO, exportName);
    } catch (error) {
      if (error instanceof OptionRefused && error.type === NBD_REP_ERR_UNSUP) return null;
      throw error;
    }
  }

  /**
   * What `go` would return, with the name that the server has for the export, without entering transmission; null where
   * the server does not know NBD_OPT_INFO.
   */
  async info(exportName: string): Promise<ExportInfo | null> {
    try {
      return await this.#infoOf(NBD_OPT_INFO, exportName);
    } catch (error) {
      if (error instanceof OptionRefused && error.type === NBD_REP_ERR_UNSUP) return null;
      throw error;
    }
  }

  /** Enters transmission in the best way that the server knows; throws saying why it refused. */
  async enter(exportName: string): Promise<ExportInfo> {
    if (this.#oldstyleExport === null) {
      const entered = this.takesOptions ? await this.go(exportName) : null;
      return entered ?? (await this.exportName(exportName));
    }
    if (exportName === '') return this.#oldstyleExport;
    throw new ColobusError("The server speaks oldstyle NBD, which has no names; ask it for export '' instead", {
      errno: ENOENT,
    });
  }

  /** Enters transmission the old way. A server that refuses says nothing and closes. */
  async exportName(exportName: string): Promise<ExportInfo> {
    this.#wire.send(encodeOption(NBD_OPT_EXPORT_NAME, encodeString(exportName, 'export name')));
    let data: Buffer;
    try {
      data = await this.#reader.read(exportNameReplyBytes(this.#noZeroes));
    } catch (cause) {
      if (!(cause instanceof ColobusError) || cause instanceof ProtocolError) throw cause;
      throw new ColobusError(`The server ended the connection when asked for export '${exportName}'; check the name`, {
        errno: cause.errno,
        cause,
      });
    }
    const { sizeBytes, flags } = decodeExportNameReply(data, 0);
    return exportInfo(exportName, '', sizeBytes, flags, null);
  }

  /** The exports that the server tells of. Throws where it tells nobody. */
  async list(): Promise<readonly ListedExport[]> {
    const listed: ListedExport[] = [];
    await this.#option(NBD_OPT_LIST, NO_DATA, 'the list of exports', reply => {
      if (reply.type !== NBD_REP_SERVER) throw unexpected(reply, 'NBD_OPT_LIST');
      listed.push(decodeListReply(reply.data));
    });
    return listed;
  }

  /** Tells the server that this connection ends here, and waits until it knows; old servers close without a word. */
  async abort(): Promise<void> {
    await this.#isGranted(NBD_OPT_ABORT, NO_DATA, reply => {
      throw unexpected(reply, 'NBD_OPT_ABORT');
    }).catch(() => {});
  }

  async #infoOf(option: number, exportName: string): Promise<ExportInfo> {
    const infos: InfoReply[] = [];
    const wanted = [NBD_INFO_BLOCK_SIZE, NBD_INFO_DESCRIPTION, ...(option === NBD_OPT_INFO ? [NBD_INFO_NAME] : [])];
    const data = encodeInfoRequest({ exportName, infos: wanted });
    await this.#option(option, data, `export '${printable(exportName)}'`, reply => {
      if (reply.type !== NBD_REP_INFO) throw unexpected(reply, option === NBD_OPT_GO ? 'NBD_OPT_GO' : 'NBD_OPT_INFO');
      infos.push(decodeInfoReply(reply.data));
    });
    const size = infos.findLast(info => info.kind === 'export');
    if (size === undefined) throw new ProtocolError('The server accepted the export without telling its size');
    const description = infos.findLast(info => info.kind === 'description')?.description ?? '';
    const name = infos.findLast(info => info.kind === 'name')?.name ?? exportName;
    const sizes = infos.findLast(info => info.kind === 'block-size');
    const blockSizes = sizes === undefined ? null : checkedBlockSizes(sizes.minimum, sizes.preferred, sizes.maximum);
    return exportInfo(name, description, size.sizeBytes, size.flags, blockSizes);
  }

  /** `#option` for what a client can do without: false where the server refused it, for whatever reason. */
  async #isGranted(option: number, data: Buffer, each: (reply: OptionReply) => void): Promise<boolean> {
    try {
      await this.#option(option, data, 'an option', each);
      return true;
    } catch (error) {
      if (error instanceof OptionRefused) return false;
      throw error;
    }
  }

  /** Sends an option and hands its replies to `each` until NBD_REP_ACK; throws OptionRefused where the server refuses. */
  async #option(option: number, data: Buffer, what: string, each: (reply: OptionReply) => void): Promise<void> {
    this.#wire.send(encodeOption(option, data));
    for (let received = 0; received < MAX_REPLIES_BYTES; ) {
      const header = decodeOptionReplyHeader(await this.#reader.read(OPTION_REPLY_HEADER_BYTES), 0);
      if (header.option !== option) {
        throw new ProtocolError(`The server answered option ${header.option} when asked option ${option}`);
      }
      if (header.length > MAX_REPLY_DATA_BYTES) {
        throw new ProtocolError(`The server announced ${header.length} bytes in reply to option ${option}`);
      }
      received += OPTION_REPLY_HEADER_BYTES + header.length;
      const reply = { type: header.type, data: await this.#reader.read(header.length) };
      if (reply.type >= NBD_REP_FLAG_ERROR) throw OptionRefused.for(reply.type, reply.data, what);
      if (reply.type === NBD_REP_ACK) {
        if (header.length > 0) throw new ProtocolError('An NBD_REP_ACK of the server carries data');
        return;
      }
      each(reply);
    }
    throw new ProtocolError(`The server sent over ${MAX_REPLIES_BYTES} bytes in reply to option ${option}`);
  }
}

function unexpected(reply: OptionReply, option: string): ProtocolError {
  return new ProtocolError(`The server answered ${option} with a reply of type ${reply.type}`);
}
