/**
 * What an NBD server has to do with any bytes of a client, as a plain reading of the specification and of the choices
 * that Colobus made where it leaves room. Written apart from the server: it sees the whole conversation at once and
 * keeps no connection, so that a mistake in one is not a mistake in the other.
 */

import { CMD, OPT, REP } from '../support/raw-nbd-client.ts';
import type { ExportModel } from './export-model.ts';
import type { FuzzSession } from './session-generator.ts';

export type ReplyStyle = 'simple' | 'structured' | 'extended';

export type ExpectedOption = {
  readonly option: number;
  /** The type of the last reply. */
  readonly final: number;
  /** Where its last byte stands in the conversation. */
  readonly end: number;
};

export type ExpectedAnswer = {
  readonly cookie: string;
  readonly type: number;
  readonly offset: number;
  /** As it stands on the wire. */
  readonly rawOffset: string;
  readonly length: number;
  readonly flags: number;
  /** Errors that may answer it; 0 is success. */
  readonly errors: readonly number[];
  /** The disk as a read or block-status sees it; null where a change of the same part makes that open. */
  readonly seen: Buffer | null;
  readonly end: number;
};

export type Foretold = {
  readonly options: readonly ExpectedOption[];
  /** Bytes of the answer to EXPORT_NAME, if that ends the options; else 0. */
  readonly exportNameBytes: number;
  readonly style: ReplyStyle;
  readonly answers: readonly ExpectedAnswer[];
  /** Who was asked for, if anyone. */
  readonly target: ExportModel | null;
  /** What changes the disk, in order, as FuzzNode notes it. */
  readonly changes: readonly string[];
  readonly content: Buffer | null;
  /** `cut`: the server ends the connection at once; answers on their way may be lost. */
  readonly ending: 'cut' | 'goodbye' | 'end of stream';
};

type Asked = Omit<ExpectedAnswer, 'errors' | 'seen' | 'end'>;

const PAYLOAD_LEN = 32;
/** The id of the one context that sessions select, as a BLOCK_STATUS names it in its payload. */
const CONTEXT_IDS = '00000001';
const EPERM = 1;
const EIO = 5;
const EINVAL = 22;
const ENOSPC = 28;
const ENOTSUP = 95;
const MAX_PAYLOAD = 32 * 1024 * 1024;
const MAX_DRAINED = 64 * 1024 * 1024;
const MAX_OPTIONS = 32;
const MAX_OPTION_BYTES = 65_536;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Foretells how a server with `exports` answers `session`. */
export function foretell(session: FuzzSession, exports: readonly ExportModel[]): Foretold {
  return new Reading(session, exports).whole();
}

class Reading {
  readonly #bytes: Buffer;
  readonly #barriers: readonly number[];
  readonly #exports: readonly ExportModel[];
  #at = 0;
  #noZeroes = false;
  #fixed = false;
  #style: ReplyStyle = 'simple';
  #selected: string | null = null;
  #exportNameBytes = 0;
  #target: ExportModel | null = null;
  #content = Buffer.alloc(0);
  readonly #options: ExpectedOption[] = [];
  readonly #answers: ExpectedAnswer[] = [];
  readonly #changes: string[] = [];
  /** What the commands of the part being read change or look at, for overlaps. */
  #part = -1;
  #partChanges: { readonly start: number; readonly end: number }[] = [];
  #partLooks: number[] = [];

  constructor(session: FuzzSession, exports: readonly ExportModel[]) {
    this.#bytes = session.bytes;
    this.#barriers = session.barriers;
    this.#exports = exports;
  }

  whole(): Foretold {
    const ending = this.#read();
    return {
      options: this.#options,
      exportNameBytes: this.#exportNameBytes,
      style: this.#style,
      answers: this.#answers,
      target: this.#target,
      changes: this.#changes,
      content: this.#target === null ? null : this.#content,
      ending,
    };
  }

  #read(): Foretold['ending'] {
    if (this.#left < 4) return 'end of stream';
    const flags = this.#bytes.readUInt32BE(0);
    if (flags > 3) return 'cut';
    this.#fixed = (flags & 1) !== 0;
    this.#noZeroes = (flags & 2) !== 0;
    this.#at = 4;
    const ending = this.#readOptions();
    return ending ?? this.#readCommands();
  }

  get #left(): number {
    return this.#bytes.length - this.#at;
  }

  #readOptions(): Foretold['ending'] | null {
    let dataBytes = 0;
    for (let count = 0; this.#target === null; count++) {
      if (this.#left < 16) return 'end of stream';
      if (this.#bytes.toString('latin1', this.#at, this.#at + 8) !== 'IHAVEOPT') return 'cut';
      const option = this.#bytes.readUInt32BE(this.#at + 8);
      const length = this.#bytes.readUInt32BE(this.#at + 12);
      dataBytes += length;
      if (count === MAX_OPTIONS || dataBytes > MAX_OPTION_BYTES) return 'cut';
      if (!this.#fixed && option !== OPT.EXPORT_NAME) return 'cut';
      if (this.#left < 16 + length) return 'end of stream';
      const data = this.#bytes.subarray(this.#at + 16, this.#at + 16 + length);
      this.#at += 16 + length;
      if (option === OPT.EXPORT_NAME) {
        if (this.#style === 'extended') return 'cut';
        const name = stringOf(data);
        this.#target = this.#find(name);
        if (this.#target === null) return 'cut';
        this.#exportNameBytes = this.#noZeroes ? 10 : 134;
      } else {
        const final = this.#finalReply(option, data);
        this.#options.push({ option, final, end: this.#at });
        if (option === OPT.ABORT) return this.#goodbye();
      }
    }
    return null;
  }

  #finalReply(option: number, data: Buffer): number {
    switch (option) {
      case OPT.ABORT:
        return REP.ACK;
      case OPT.LIST:
        return data.length > 0 ? REP.ERR_INVALID : REP.ACK;
      case OPT.STARTTLS:
        return data.length > 0 ? REP.ERR_INVALID : REP.ERR_POLICY;
      case OPT.STRUCTURED_REPLY:
        if (data.length > 0 || this.#style === 'structured') return REP.ERR_INVALID;
        if (this.#style === 'extended') return REP.ERR_EXT_HEADER_REQD;
        this.#style = 'structured';
        return REP.ACK;
      case OPT.EXTENDED_HEADERS:
        if (data.length > 0 || this.#style === 'extended') return REP.ERR_INVALID;
        this.#style = 'extended';
        return REP.ACK;
      case OPT.INFO:
      case OPT.GO:
        return this.#info(option, data);
      case OPT.LIST_META_CONTEXT:
        return this.#contexts(data).final;
      case OPT.SET_META_CONTEXT: {
        const { final, name, queries } = this.#contexts(data);
        this.#selected = final === REP.ACK && queries.includes('base:allocation') ? name : null;
        return final;
      }
      default:
        return REP.ERR_UNSUP;
    }
  }

  #info(option: number, data: Buffer): number {
    if (data.length < 6) return REP.ERR_INVALID;
    const nameBytes = data.readUInt32BE(0);
    if (nameBytes > data.length - 6) return REP.ERR_INVALID;
    const name = stringOf(data.subarray(4, 4 + nameBytes));
    const count = data.readUInt16BE(4 + nameBytes);
    if (name === null || data.length !== 6 + nameBytes + 2 * count) return REP.ERR_INVALID;
    const found = this.#find(name);
    if (found === null) return REP.ERR_UNKNOWN;
    let asksBlockSize = false;
    for (let i = 0; i < count; i++) asksBlockSize ||= data.readUInt16BE(6 + nameBytes + 2 * i) === 3;
    if (found.alignment > 1 && !asksBlockSize) return REP.ERR_BLOCK_SIZE_REQD;
    if (option === OPT.GO) this.#target = found;
    return REP.ACK;
  }

  #contexts(data: Buffer): { readonly final: number; readonly name: string; readonly queries: readonly string[] } {
    const invalid = { final: REP.ERR_INVALID, name: '', queries: [] };
    const strings: string[] = [];
    let at = 0;
    const take = (): boolean => {
      if (at + 4 > data.length) return false;
      const length = data.readUInt32BE(at);
      if (length > data.length - at - 4) return false;
      const text = stringOf(data.subarray(at + 4, at + 4 + length));
      if (text === null) return false;
      strings.push(text);
      at += 4 + length;
      return true;
    };
    if (!take() || at + 4 > data.length) return invalid;
    const count = data.readUInt32BE(at);
    at += 4;
    for (let i = 0; i < count; i++) if (!take()) return invalid;
    const [name = '', ...queries] = strings;
    if (at !== data.length || this.#style === 'simple') return invalid;
    return { final: this.#find(name) === null ? REP.ERR_UNKNOWN : REP.ACK, name, queries };
  }

  #find(name: string | null): ExportModel | null {
    return this.#exports.find(model => model.name === name) ?? null;
  }

  #readCommands(): Foretold['ending'] {
    const target = this.#target as ExportModel;
    this.#content = Buffer.from(target.content);
    const extended = this.#style === 'extended';
    const headerBytes = extended ? 32 : 28;
    for (;;) {
      if (this.#left < headerBytes) return 'end of stream';
      const header = this.#bytes.subarray(this.#at, this.#at + headerBytes);
      if (header.readUInt32BE(0) !== (extended ? 0x21e41c71 : 0x25609513)) return 'cut';
      const type = header.readUInt16BE(6);
      if (type === CMD.DISC) {
        this.#at += headerBytes;
        return this.#goodbye();
      }
      const flags = header.readUInt16BE(4);
      const length = extended ? Number(header.readBigUInt64BE(24)) : header.readUInt32BE(24);
      const hasPayload = extended ? (flags & PAYLOAD_LEN) !== 0 : type === CMD.WRITE;
      const payload = hasPayload ? length : 0;
      if (payload > MAX_DRAINED) return 'cut';
      if (this.#left < headerBytes + payload) return 'end of stream';
      const data = this.#bytes.subarray(this.#at + headerBytes, this.#at + headerBytes + payload);
      this.#at += headerBytes + payload;
      const asked = {
        cookie: header.toString('hex', 8, 16),
        type,
        flags,
        offset: Number(header.readBigUInt64BE(16)),
        rawOffset: header.toString('hex', 16, 24),
        length,
      };
      if (type === CMD.BLOCK_STATUS && hasPayload && payload > 0)
        this.#carryOut(this.#statusQuery(target, asked, data), data);
      else this.#carryOut({ ...asked, errors: this.#errorsOf(target, asked) }, data);
    }
  }

  /** A BLOCK_STATUS whose payload says how much and which contexts. */
  #statusQuery(target: ExportModel, asked: Asked, data: Buffer): Asked & { readonly errors: readonly number[] } {
    const ids = data.length < 8 ? '' : data.toString('hex', 8);
    if (data.length < 8 || this.#selected !== target.name || ids !== CONTEXT_IDS) {
      return { ...asked, length: 0, errors: [EINVAL] };
    }
    const narrowed = { ...asked, length: Number(data.readBigUInt64BE(0)), flags: asked.flags & ~PAYLOAD_LEN };
    return { ...narrowed, errors: this.#errorsOf(target, narrowed) };
  }

  /** Who goes on talking after the goodbye may lose answers: the socket closes with unread bytes in it. */
  #goodbye(): Foretold['ending'] {
    return this.#left === 0 ? 'goodbye' : 'cut';
  }

  /** The errors of all rules that the command breaks, or 0. */
  #errorsOf(target: ExportModel, { type, flags, offset, length }: Asked): number[] {
    const extended = this.#style === 'extended';
    const { sizeBytes, writable, alignment, fastZeroes } = target;
    if (type > 7) return [EINVAL];
    const changes = type === CMD.WRITE || type === CMD.WRITE_ZEROES || type === CMD.TRIM;
    const errors: number[] = [];
    if (changes && !writable) errors.push(EPERM);
    let allowed = 1;
    if (type === CMD.READ && this.#style !== 'simple') allowed |= 4;
    if (type === CMD.WRITE_ZEROES) allowed |= 2 | (fastZeroes ? 16 : 0);
    if (type === CMD.BLOCK_STATUS) allowed |= 8;
    if (type === CMD.WRITE && extended) allowed |= PAYLOAD_LEN;
    // Payload of no bytes says nothing, but then the flag has no meaning either.
    if (type === CMD.BLOCK_STATUS && extended && this.#selected === target.name) allowed |= PAYLOAD_LEN;
    if ((flags & ~allowed) !== 0) errors.push(EINVAL);
    if (type === CMD.WRITE && extended && (flags & PAYLOAD_LEN) === 0) errors.push(EINVAL);
    if (type === CMD.BLOCK_STATUS && this.#selected !== target.name) errors.push(EINVAL);
    if (type === CMD.FLUSH) return errors.length > 0 ? errors : [0];
    if ((type === CMD.READ || type === CMD.WRITE) && length > MAX_PAYLOAD) errors.push(EINVAL);
    if (offset + length > sizeBytes) errors.push(type === CMD.WRITE || type === CMD.WRITE_ZEROES ? ENOSPC : EINVAL);
    if (length > 0 && (offset % alignment !== 0 || length % alignment !== 0)) errors.push(EINVAL);
    if (errors.length > 0) return errors;
    const touchesBad = length > 0 && offset < target.badEnd && offset + length > target.badStart;
    if (touchesBad && (changes || type === CMD.READ)) return [EIO];
    if ((flags & 16) !== 0 && !fastZeroes) return [ENOTSUP];
    return [0];
  }

  #carryOut(command: Omit<ExpectedAnswer, 'seen' | 'end'>, data: Buffer): void {
    const { type, offset, length, errors } = command;
    const end = this.#at;
    this.#enterPart(end);
    const works = errors.includes(0) && length > 0;
    let seen: Buffer | null = null;
    if (works && (type === CMD.WRITE || type === CMD.WRITE_ZEROES || type === CMD.TRIM)) {
      if (type === CMD.WRITE) data.copy(this.#content, offset);
      else this.#content.fill(0, offset, offset + length);
      this.#changes.push(`${KINDS[type]} ${offset} ${length}`);
      this.#partChanges.push({ start: offset, end: offset + length });
      this.#forgetLooks(offset, offset + length);
    } else if (works && (type === CMD.READ || type === CMD.BLOCK_STATUS)) {
      const raced = this.#partChanges.some(change => near(change.start, change.end, offset, offset + length));
      if (!raced) {
        seen = Buffer.from(this.#content);
        this.#partLooks.push(this.#answers.length);
      }
    }
    this.#answers.push({ ...command, seen, end });
  }

  #enterPart(end: number): void {
    const part = this.#barriers.findIndex(barrier => end <= barrier);
    if (part === this.#part) return;
    this.#part = part;
    this.#partChanges = [];
    this.#partLooks = [];
  }

  /** A change after a look of the same part: the look may see it or not. */
  #forgetLooks(start: number, end: number): void {
    for (const index of this.#partLooks) {
      const look = this.#answers[index] as ExpectedAnswer;
      if (near(start, end, look.offset, look.offset + look.length)) this.#answers[index] = { ...look, seen: null };
    }
  }
}

const KINDS: Readonly<Record<number, string>> = {
  [CMD.WRITE]: 'write',
  [CMD.WRITE_ZEROES]: 'write-zeroes',
  [CMD.TRIM]: 'discard',
};

/** True where two ranges overlap or share a sector. */
function near(start: number, end: number, otherStart: number, otherEnd: number): boolean {
  return start - 512 < otherEnd && otherStart - 512 < end;
}

/** The string, or null where the protocol does not allow it. */
function stringOf(data: Buffer): string | null {
  if (data.length > 4096 || data.includes(0)) return null;
  try {
    return utf8.decode(data);
  } catch {
    return null;
  }
}
