/** AnswerReader: reads what a server sends and holds it against what was foretold. */

import { CMD, REP } from '../support/raw-nbd-client.ts';
import { statusAt } from './fuzz-node.ts';
import type { ExpectedAnswer, Foretold } from './reference-server.ts';

/** The server did something else than foretold. */
export class FuzzFailure extends Error {}

type Pending = {
  readonly expected: ExpectedAnswer;
  readonly data: Buffer;
  covered: number;
  chunks: number;
  error: number;
};

export class AnswerReader {
  readonly #foretold: Foretold;
  readonly #pending = new Map<string, Pending>();
  #unread: Buffer = Buffer.alloc(0);
  #greeted = false;
  #exportNameRead = false;
  optionsSeen = 0;
  answersSeen = 0;

  constructor(foretold: Foretold) {
    this.#foretold = foretold;
    for (const expected of foretold.answers) {
      const data = Buffer.alloc(expected.type === CMD.READ && expected.errors.includes(0) ? expected.length : 0);
      this.#pending.set(expected.cookie, { expected, data, covered: 0, chunks: 0, error: 0 });
    }
  }

  /** True where two commands had the same cookie, so that answers cannot be told apart. */
  get isAmbiguous(): boolean {
    return new Set(this.#foretold.answers.map(({ cookie }) => cookie)).size !== this.#foretold.answers.length;
  }

  /** True where everything asked for up to byte `end` of the conversation was answered. */
  hasAll(end: number): boolean {
    const { options, answers, exportNameBytes } = this.#foretold;
    return (
      this.#greeted &&
      this.optionsSeen >= options.filter(option => option.end <= end).length &&
      (exportNameBytes === 0 || this.#exportNameRead || !answers.some(answer => answer.end <= end)) &&
      answers.every(answer => answer.end > end || !this.#pending.has(answer.cookie))
    );
  }

  /** What is unanswered, for a failure's text. */
  get missing(): string {
    const option = this.#foretold.options[this.optionsSeen];
    if (option !== undefined) return `the answer to option ${option.option}`;
    const commands = [...this.#pending.values()].map(({ expected }) => `${expected.cookie} (${expected.type})`);
    return `answers to ${commands.slice(0, 5).join(', ')}`;
  }

  /** Takes bytes of the server; throws FuzzFailure where they are wrong. */
  feed(chunk: Buffer): void {
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
    for (;;) {
      const used = this.#readOne();
      if (used === 0) return;
      this.#unread = this.#unread.subarray(used);
    }
  }

  #readOne(): number {
    const { options, exportNameBytes } = this.#foretold;
    if (!this.#greeted) {
      if (this.#unread.length < 18) return 0;
      this.#greeted = true;
      return 18;
    }
    if (this.optionsSeen < options.length) return this.#readOptionReply();
    if (exportNameBytes > 0 && !this.#exportNameRead) {
      if (this.#unread.length < exportNameBytes) return 0;
      this.#exportNameRead = true;
      return exportNameBytes;
    }
    return this.#readReply();
  }

  #readOptionReply(): number {
    const unread = this.#unread;
    if (unread.length < 20) return 0;
    const expected = this.#foretold.options[this.optionsSeen];
    const [option, type, length] = [unread.readUInt32BE(8), unread.readUInt32BE(12), unread.readUInt32BE(16)];
    this.#expect(unread.toString('hex', 0, 8) === '0003e889045565a9', 'an option reply has its magic');
    this.#expect(option === expected?.option, `a reply to option ${expected?.option}, not ${option}`);
    this.#expect(length < 10_000, `an option reply of a bearable length, not ${length}`);
    if (unread.length < 20 + length) return 0;
    const isFinal = type === REP.ACK || type >= 0x80000000;
    if (isFinal) {
      this.#expect(
        type === expected?.final,
        `reply ${expected?.final.toString(16)} to option ${option}, not ${type.toString(16)}`,
      );
      this.optionsSeen += 1;
    }
    return 20 + length;
  }

  #readReply(): number {
    if (this.#unread.length < 16) return 0;
    const magic = this.#unread.readUInt32BE(0);
    if (magic === 0x67446698) return this.#readSimple();
    const extended = this.#foretold.style === 'extended';
    const isRight = this.#foretold.style !== 'simple' && magic === (extended ? 0x6e8a278c : 0x668e33ef);
    this.#expect(isRight, `a reply, not magic ${magic.toString(16)}`);
    const headerBytes = extended ? 32 : 20;
    if (this.#unread.length < headerBytes) return 0;
    const length = extended ? Number(this.#unread.readBigUInt64BE(24)) : this.#unread.readUInt32BE(16);
    if (this.#unread.length < headerBytes + length) return 0;
    this.#readChunk(this.#unread.subarray(0, headerBytes), this.#unread.subarray(headerBytes, headerBytes + length));
    return headerBytes + length;
  }

  #readSimple(): number {
    const pending = this.#find(this.#unread.toString('hex', 8, 16));
    const error = this.#unread.readUInt32BE(4);
    const { expected } = pending;
    this.#expect(this.#foretold.style !== 'extended', 'no simple reply beside extended headers');
    const hasData = expected.type === CMD.READ && error === 0;
    this.#expect(expected.type !== CMD.READ || this.#foretold.style === 'simple', 'no simple reply to a READ');
    const bytes = hasData ? 16 + expected.length : 16;
    if (this.#unread.length < bytes) return 0;
    if (hasData) {
      this.#unread.copy(pending.data, 0, 16, bytes);
      pending.covered = expected.length;
    }
    this.#end(pending, error);
    return bytes;
  }

  #readChunk(header: Buffer, payload: Buffer): void {
    const pending = this.#find(header.toString('hex', 8, 16));
    const { expected } = pending;
    const type = header.readUInt16BE(6);
    const isDone = header.readUInt16BE(4) === 1;
    this.#expect(
      header.length === 20 || header.toString('hex', 16, 24) === expected.rawOffset,
      'the offset comes back',
    );
    this.#expect(isDone || header.readUInt16BE(4) === 0, 'no unknown chunk flags');
    if (type === 0) {
      this.#expect(isDone && payload.length === 0, 'a NONE chunk is empty and last');
    } else if (type === 1 || type === 2) {
      this.#readContent(pending, type, payload);
    } else if (type === 5 || type === 6) {
      this.#expect(type === 5 || header.length === 32, 'no 64-bit extents with compact headers');
      this.#readStatus(expected, type === 5 ? extentsOf(payload) : extentsExtOf(payload));
      pending.chunks += 1;
    } else {
      this.#expect(type === 0x8001 || type === 0x8002, `no chunk of type ${type}`);
      pending.error = payload.readUInt32BE(0);
      const textBytes = payload.readUInt16BE(4);
      this.#expect(payload.length === 6 + textBytes + (type === 0x8002 ? 8 : 0), 'an error chunk of the right length');
    }
    if (!isDone) return;
    const needsStatus = expected.type === CMD.BLOCK_STATUS && pending.error === 0 && expected.length > 0;
    this.#expect(!needsStatus || pending.chunks === 1, 'one status chunk per context');
    this.#end(pending, pending.error);
  }

  #readContent(pending: Pending, type: number, payload: Buffer): void {
    const { expected, data } = pending;
    this.#expect(expected.type === CMD.READ, 'content in reply to a READ only');
    this.#expect(payload.length >= 9, 'a content chunk describes a byte at least');
    const offset = Number(payload.readBigUInt64BE(0)) - expected.offset;
    const length = type === 1 ? payload.length - 8 : payload.readUInt32BE(8);
    this.#expect(type === 1 || (payload.length === 12 && length > 0), 'a hole chunk of 12 bytes, which is not empty');
    this.#expect(offset >= 0 && offset + length <= data.length, 'content within the bounds of the request');
    if (type === 1) payload.copy(data, offset, 8);
    pending.covered += length;
    pending.chunks += 1;
    this.#expect((expected.flags & 4) === 0 || pending.chunks === 1, 'one content chunk for a READ with DF');
  }

  #readStatus({ type, offset, length, flags, seen }: ExpectedAnswer, extents: readonly Extent[] | null): void {
    this.#expect(type === CMD.BLOCK_STATUS, 'a status in reply to a BLOCK_STATUS only');
    this.#expect(extents !== null && extents.length > 0, 'a status chunk of whole extents');
    let covered = 0;
    for (const { bytes, status } of extents ?? []) {
      this.#expect(bytes > 0 && covered < length, 'extents that are not empty and start inside the request');
      for (let sector = offset + covered; seen !== null && sector < Math.min(offset + covered + bytes, seen.length); ) {
        this.#expect(statusAt(seen, sector) === status, `the status of byte ${sector}`);
        sector += 512 - (sector % 512);
      }
      covered += bytes;
    }
    this.#expect((flags & 8) === 0 || (extents?.length === 1 && covered <= length), 'REQ_ONE is one extent inside');
  }

  #end(pending: Pending, error: number): void {
    const { expected, data, covered } = pending;
    const what = `command ${expected.type} of ${expected.length} bytes at ${expected.offset}`;
    this.#expect(expected.errors.includes(error), `error ${expected.errors.join(' or ')} for ${what}, not ${error}`);
    if (expected.type === CMD.READ && error === 0) {
      this.#expect(covered === expected.length, `all the data for ${what}`);
      const { offset, length, seen } = expected;
      this.#expect(seen === null || seen.subarray(offset, offset + length).equals(data), `the right data for ${what}`);
    }
    this.#pending.delete(expected.cookie);
    this.answersSeen += 1;
  }

  #find(cookie: string): Pending {
    const pending = this.#pending.get(cookie);
    if (pending === undefined) throw new FuzzFailure(`The server answered ${cookie}, which is not waiting for one`);
    return pending;
  }

  #expect(holds: boolean, what: string): void {
    if (!holds) throw new FuzzFailure(`Expected ${what}`);
  }
}

type Extent = { readonly bytes: number; readonly status: number };

/** The extents of a BLOCK_STATUS chunk; null where its length is wrong. */
function extentsOf(payload: Buffer): Extent[] | null {
  if (payload.length < 12 || (payload.length - 4) % 8 !== 0) return null;
  const count = (payload.length - 4) / 8;
  return Array.from({ length: count }, (_, index) => ({
    bytes: payload.readUInt32BE(4 + 8 * index),
    status: payload.readUInt32BE(8 + 8 * index),
  }));
}

/** The same of a BLOCK_STATUS_EXT chunk, which also counts them. */
function extentsExtOf(payload: Buffer): Extent[] | null {
  const count = (payload.length - 8) / 16;
  if (!Number.isInteger(count) || count < 1 || ![0, count].includes(payload.readUInt32BE(4))) return null;
  return Array.from({ length: count }, (_, index) => ({
    bytes: Number(payload.readBigUInt64BE(8 + 16 * index)),
    status: Number(payload.readBigUInt64BE(16 + 16 * index)),
  }));
}
