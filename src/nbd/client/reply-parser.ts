/**
 * ReplyParser: turns the bytes of the transmission phase into completed requests.
 *
 * Bytes come in any pieces. What lies whole in a piece is parsed in place; what is split is carried over; data goes
 * straight into the memory of its request. Whatever breaks a rule of the protocol throws a ProtocolError that names it,
 * after which the connection is of no use.
 *
 *   magic ──► simple ──────────────────────────► data ─┐
 *     ▲  └──► chunk ──► offset ────────────────► data ─┤
 *     │         ├─────► hole ──────────────────────────┤
 *     │         ├─────► context ──► extent ──► … ──────┤
 *     │         ├─────► error ─────────────────────────┤
 *     └─────────┴──────────────────────────────────────┘
 *
 * With extended headers, chunks have another header and extents are longer; the rest is the same.
 */

import { assert } from '../../base/assert.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import { readUint32, readUint64 } from '../protocol/big-endian.ts';
import { BLOCK_STATUS_EXT_BYTES, EXTENT_EXT_BYTES } from '../protocol/block-status-ext.ts';
import {
  BLOCK_STATUS_BYTES,
  decodeErrorPayload,
  ERROR_BYTES,
  EXTENT_BYTES,
  OFFSET_DATA_BYTES,
  OFFSET_HOLE_BYTES,
} from '../protocol/chunk-payload.ts';
import {
  NBD_EXTENDED_REPLY_MAGIC,
  NBD_MAX_STRING_BYTES,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_BLOCK_STATUS_EXT,
  NBD_REPLY_TYPE_ERROR_BIT,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
} from '../protocol/constants.ts';
import { blankExtendedReply, decodeExtendedReply, EXTENDED_REPLY_BYTES } from '../protocol/extended-reply.ts';
import { blankSimpleReply, decodeSimpleReply, SIMPLE_REPLY_BYTES } from '../protocol/simple-reply.ts';
import { decodeStructuredReply, STRUCTURED_REPLY_BYTES } from '../protocol/structured-reply.ts';
import { errnoOfWire } from '../protocol/wire-errno.ts';
import type { ReplyFormat } from './session-features.ts';
import type { Slot, SlotTable } from './slot-table.ts';
import { MAX_EXTENTS, StatusReader } from './status-reader.ts';

/** Told when the reply to a request is complete. */
export interface ReplySink {
  replyDone(slot: Slot, errno: number): void;
}

const MAGIC_BYTES = 4;
/** An error chunk: its fields, the longest message, an offset. */
const MAX_ERROR_CHUNK_BYTES = ERROR_BYTES + NBD_MAX_STRING_BYTES + 8;
/** What the next bytes are; all but `data` are parsed when whole. */
type Step = 'magic' | 'simple' | 'chunk' | 'offset' | 'hole' | 'context' | 'extent' | 'error' | 'data';

export class ReplyParser {
  readonly #slots: SlotTable;
  readonly #sink: ReplySink;
  readonly #format: ReplyFormat;
  readonly #status: StatusReader;
  readonly #simple = blankSimpleReply();
  /** The header of the present chunk; its offset is of meaning with extended headers only. */
  readonly #chunk = blankExtendedReply();
  readonly #carry = Buffer.allocUnsafeSlow(MAX_ERROR_CHUNK_BYTES);
  #carried = 0;
  #step: Step = 'magic';
  #need = MAGIC_BYTES;
  #slot: Slot | null = null;
  /** Where the next byte of data goes in the request's buffer, and how many are to come. */
  #dataAt = 0;
  #dataLeft = 0;
  #stopped = false;

  /**
   * `contexts` are the names of the metadata contexts that the server reports, by id; `minBlockBytes` is what extents
   * are multiples of.
   */
  constructor(
    slots: SlotTable,
    sink: ReplySink,
    format: ReplyFormat,
    contexts: ReadonlyMap<number, string>,
    minBlockBytes = 1,
  ) {
    this.#slots = slots;
    this.#sink = sink;
    this.#format = format;
    this.#status = new StatusReader(contexts, minBlockBytes);
  }

  /** Parses no further, also in the middle of a `consume`. */
  stop(): void {
    this.#stopped = true;
  }

  /** Takes the first `length` bytes of `source`. */
  consume(source: Buffer, length: number): void {
    let at = 0;
    while (at < length && !this.#stopped) {
      if (this.#step === 'data') {
        at += this.#copyData(source, at, length);
      } else if (this.#carried === 0 && length - at >= this.#need) {
        at += this.#parse(source, at);
      } else {
        const bytes = Math.min(this.#need - this.#carried, length - at);
        source.copy(this.#carry, this.#carried, at, at + bytes);
        this.#carried += bytes;
        at += bytes;
        if (this.#carried === this.#need && this.#parse(this.#carry, 0) > 0) this.#carried = 0;
      }
    }
  }

  /** Parses the `#need` bytes at `at` and returns how many it used: all, or none where it has to see more. */
  #parse(source: Buffer, at: number): number {
    const used = this.#need;
    switch (this.#step) {
      case 'magic':
        this.#parseMagic(readUint32(source, at));
        return 0;
      case 'simple':
        this.#parseSimple(source, at);
        return used;
      case 'chunk':
        this.#parseChunk(source, at);
        return used;
      case 'offset':
        this.#parseOffset(readUint64(source, at));
        return used;
      case 'hole':
        this.#parseHole(readUint64(source, at), source.readUInt32BE(at + 8));
        return used;
      case 'context':
        this.#parseContext(source, at);
        return used;
      case 'extent':
        this.#parseExtent(source, at);
        return used;
      default:
        this.#parseError(source.subarray(at, at + used));
        return used;
    }
  }

  #expect(step: Step, need: number): void {
    this.#step = step;
    this.#need = need;
  }

  #parseMagic(magic: number): void {
    if (magic === NBD_SIMPLE_REPLY_MAGIC) {
      if (this.#format === 'extended') {
        throw new ProtocolError('The server sent a simple reply after extended headers were negotiated');
      }
      this.#expect('simple', SIMPLE_REPLY_BYTES);
    } else if (magic === NBD_STRUCTURED_REPLY_MAGIC) {
      if (this.#format !== 'structured') {
        throw new ProtocolError('The server sent a structured reply that was not negotiated');
      }
      this.#expect('chunk', STRUCTURED_REPLY_BYTES);
    } else if (magic === NBD_EXTENDED_REPLY_MAGIC) {
      if (this.#format !== 'extended') {
        throw new ProtocolError('The server sent an extended reply that was not negotiated');
      }
      this.#expect('chunk', EXTENDED_REPLY_BYTES);
    } else {
      throw new ProtocolError(`A reply of the server starts with the unknown magic 0x${magic.toString(16)}`);
    }
  }

  #parseSimple(source: Buffer, at: number): void {
    const reply = this.#simple;
    decodeSimpleReply(source, at, reply);
    const slot = this.#find(reply.cookieHigh, reply.cookieLow);
    const request = requestOf(slot);
    if (this.#format === 'structured' && (request.kind === 'read' || request.kind === 'block-status')) {
      throw new ProtocolError(`The server sent a simple reply to a ${request.kind}, which needs a structured one`);
    }
    if (request.kind === 'read' && reply.error === 0) {
      this.#slot = slot;
      slot.coverage.add(0, request.length);
      this.#chunk.flags = NBD_REPLY_FLAG_DONE;
      this.#expectData(request.at, request.length);
    } else {
      this.#expect('magic', MAGIC_BYTES);
      this.#finish(slot, slot.errno || errnoOfWire(reply.error));
    }
  }

  #parseChunk(source: Buffer, at: number): void {
    const chunk = this.#chunk;
    const isExtended = this.#format === 'extended';
    if (isExtended) decodeExtendedReply(source, at, chunk);
    else decodeStructuredReply(source, at, chunk);
    const slot = this.#find(chunk.cookieHigh, chunk.cookieLow);
    this.#slot = slot;
    // Flags of tomorrow are to be ignored.
    chunk.flags &= NBD_REPLY_FLAG_DONE;
    const request = requestOf(slot);
    if (isExtended && chunk.offset !== request.offset) {
      throw new ProtocolError(`An extended reply names the offset ${chunk.offset}, its request ${request.offset}`);
    }
    switch (chunk.type) {
      case NBD_REPLY_TYPE_NONE:
        if (chunk.flags !== NBD_REPLY_FLAG_DONE) throw new ProtocolError('An empty chunk is not the last of its reply');
        this.#requireLength('an empty chunk', chunk.length === 0);
        this.#endChunk();
        return;
      case NBD_REPLY_TYPE_OFFSET_DATA:
        requireKind(request, 'read', 'data');
        this.#requireLength(
          'a data chunk',
          chunk.length > OFFSET_DATA_BYTES && chunk.length - OFFSET_DATA_BYTES <= request.length,
        );
        this.#expect('offset', OFFSET_DATA_BYTES);
        return;
      case NBD_REPLY_TYPE_OFFSET_HOLE:
        requireKind(request, 'read', 'hole');
        this.#requireLength('a hole chunk', chunk.length === OFFSET_HOLE_BYTES);
        this.#expect('hole', OFFSET_HOLE_BYTES);
        return;
      case NBD_REPLY_TYPE_BLOCK_STATUS:
      case NBD_REPLY_TYPE_BLOCK_STATUS_EXT:
        // With extended headers a server may use either kind.
        if (!isExtended && this.#hasWideExtents()) {
          throw new ProtocolError(`The server sent a status chunk of type ${chunk.type}, which was not negotiated`);
        }
        requireKind(request, 'block-status', 'status');
        this.#requireLength('a status chunk', isExtentCount(this.#extentsOfChunk()));
        this.#expect('context', this.#hasWideExtents() ? BLOCK_STATUS_EXT_BYTES : BLOCK_STATUS_BYTES);
        return;
      default:
        if ((chunk.type & NBD_REPLY_TYPE_ERROR_BIT) === 0) {
          throw new ProtocolError(`The server sent a chunk of unknown type ${chunk.type}`);
        }
        this.#requireLength('an error chunk', chunk.length >= ERROR_BYTES && chunk.length <= MAX_ERROR_CHUNK_BYTES);
        this.#expect('error', chunk.length);
    }
  }

  #parseOffset(offset: number): void {
    const length = this.#chunk.length - OFFSET_DATA_BYTES;
    this.#expectData(this.#place(offset, length), length);
  }

  #parseHole(offset: number, length: number): void {
    if (length === 0) throw new ProtocolError('A hole chunk has a length of 0');
    const at = this.#place(offset, length);
    requestOf(this.#slot).buffer.fill(0, at, at + length);
    this.#endChunk();
  }

  #parseContext(source: Buffer, at: number): void {
    const extents = this.#extentsOfChunk();
    const isWide = this.#hasWideExtents();
    const announced = isWide ? source.readUInt32BE(at + 4) : 0;
    if (announced !== 0 && announced !== extents) {
      throw new ProtocolError(`A status chunk announces ${announced} extents and has ${extents}`);
    }
    this.#status.begin(this.#slot as Slot, source.readUInt32BE(at), extents);
    this.#expect('extent', isWide ? EXTENT_EXT_BYTES : EXTENT_BYTES);
  }

  #parseExtent(source: Buffer, at: number): void {
    let isLast: boolean;
    if (this.#hasWideExtents()) {
      isLast = this.#status.take(readUint64(source, at), readUint64(source, at + 8), source.readUInt32BE(at + 12));
    } else {
      const flags = source.readUInt32BE(at + 4);
      isLast = this.#status.take(source.readUInt32BE(at), flags, flags);
    }
    if (isLast) this.#endChunk();
  }

  /** True where the extents of the present status chunk have 64 bits. */
  #hasWideExtents(): boolean {
    return this.#chunk.type === NBD_REPLY_TYPE_BLOCK_STATUS_EXT;
  }

  /** How many extents the length of the present status chunk has room for; perhaps no whole number. */
  #extentsOfChunk(): number {
    return this.#hasWideExtents()
      ? (this.#chunk.length - BLOCK_STATUS_EXT_BYTES) / EXTENT_EXT_BYTES
      : (this.#chunk.length - BLOCK_STATUS_BYTES) / EXTENT_BYTES;
  }

  #parseError(payload: Buffer): void {
    const slot = this.#slot as Slot;
    const { error, offset } = decodeErrorPayload(payload, this.#chunk.type);
    const request = requestOf(slot);
    if (offset !== null && (offset < request.offset || offset >= request.offset + request.length)) {
      throw new ProtocolError(`An error chunk names the offset ${offset}, outside its request`);
    }
    if (offset !== null && slot.errno === 0) request.errorAt = offset;
    slot.errno ||= errnoOfWire(error);
    this.#endChunk();
  }

  /** Checks that a chunk of a read lies inside its request and came once; returns its place in the buffer. */
  #place(offset: number, length: number): number {
    const slot = this.#slot as Slot;
    const request = requestOf(slot);
    const start = offset - request.offset;
    if (start < 0 || length > request.length - start) {
      throw new ProtocolError(`A chunk with ${length} bytes at ${offset} lies outside its request`);
    }
    slot.coverage.add(start, start + length);
    return request.at + start;
  }

  #expectData(at: number, length: number): void {
    this.#step = 'data';
    this.#dataAt = at;
    this.#dataLeft = length;
  }

  #copyData(source: Buffer, at: number, length: number): number {
    const bytes = Math.min(this.#dataLeft, length - at);
    source.copy(requestOf(this.#slot).buffer, this.#dataAt, at, at + bytes);
    this.#dataAt += bytes;
    this.#dataLeft -= bytes;
    if (this.#dataLeft === 0) this.#endChunk();
    return bytes;
  }

  #endChunk(): void {
    const slot = this.#slot as Slot;
    this.#slot = null;
    this.#expect('magic', MAGIC_BYTES);
    if ((this.#chunk.flags & NBD_REPLY_FLAG_DONE) !== 0) this.#finish(slot, slot.errno);
  }

  #finish(slot: Slot, errno: number): void {
    const request = requestOf(slot);
    if (errno === 0) {
      if (request.kind === 'read' && !slot.coverage.isComplete(request.length)) {
        throw new ProtocolError('A reply to a read ended without all of its data');
      }
      if (request.kind === 'block-status') this.#status.requireAll(slot);
    }
    this.#sink.replyDone(slot, errno);
  }

  #find(cookieHigh: number, cookieLow: number): Slot {
    const slot = this.#slots.find(cookieHigh, cookieLow);
    if (slot === null) throw new ProtocolError('A reply of the server has a cookie that no request in flight has');
    return slot;
  }

  #requireLength(what: string, fits: boolean): void {
    if (!fits) throw new ProtocolError(`The length ${this.#chunk.length} of ${what} is wrong`);
  }
}

function requestOf(slot: Slot | null): BlockRequest {
  const request = slot?.request ?? null;
  assert(request !== null, 'A reply is parsed for a slot in use');
  return request;
}

function isExtentCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= MAX_EXTENTS;
}

function requireKind(request: BlockRequest, kind: BlockRequest['kind'], what: string): void {
  if (request.kind !== kind) throw new ProtocolError(`The server sent a ${what} chunk in reply to a ${request.kind}`);
}
