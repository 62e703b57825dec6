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
 */

import { assert } from '../../base/assert.ts';
import { ProtocolError } from '../../base/errors.ts';
import type { BlockRequest } from '../../block/block-request.ts';
import {
  BLOCK_STATUS_BYTES,
  decodeErrorPayload,
  ERROR_BYTES,
  EXTENT_BYTES,
  OFFSET_DATA_BYTES,
  OFFSET_HOLE_BYTES,
} from '../protocol/chunk-payload.ts';
import {
  NBD_MAX_STRING_BYTES,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR_BIT,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STATE_HOLE,
  NBD_STATE_ZERO,
  NBD_STRUCTURED_REPLY_MAGIC,
} from '../protocol/constants.ts';
import { blankSimpleReply, decodeSimpleReply, SIMPLE_REPLY_BYTES } from '../protocol/simple-reply.ts';
import { blankStructuredReply, decodeStructuredReply, STRUCTURED_REPLY_BYTES } from '../protocol/structured-reply.ts';
import { readUint64 } from '../protocol/uint64.ts';
import { errnoOfWire } from '../protocol/wire-errno.ts';
import type { Slot, SlotTable } from './slot-table.ts';

/** Told when the reply to a request is complete. */
export interface ReplySink {
  replyDone(slot: Slot, errno: number): void;
}

const MAGIC_BYTES = 4;
/** An error chunk: its fields, the longest message, an offset. */
const MAX_ERROR_CHUNK_BYTES = ERROR_BYTES + NBD_MAX_STRING_BYTES + 8;
/** Extents of one status chunk (NBD proto.md suggests 2^20 as the most that a server sends). */
const MAX_EXTENTS = 2 ** 20;

/** What the next bytes are; all but `data` are parsed when whole. */
type Step = 'magic' | 'simple' | 'chunk' | 'offset' | 'hole' | 'context' | 'extent' | 'error' | 'data';

export class ReplyParser {
  readonly #slots: SlotTable;
  readonly #sink: ReplySink;
  readonly #structured: boolean;
  readonly #allocationContext: number | null;
  readonly #simple = blankSimpleReply();
  readonly #chunk = blankStructuredReply();
  readonly #carry = Buffer.allocUnsafeSlow(MAX_ERROR_CHUNK_BYTES);
  #carried = 0;
  #step: Step = 'magic';
  #need = MAGIC_BYTES;
  #slot: Slot | null = null;
  /** Where the next byte of data goes in the request's buffer, and how many are to come. */
  #dataAt = 0;
  #dataLeft = 0;
  #extentsLeft = 0;
  #stopped = false;

  /** `allocationContext` is the id under which the server reports base:allocation, if it does. */
  constructor(slots: SlotTable, sink: ReplySink, structured: boolean, allocationContext: number | null) {
    this.#slots = slots;
    this.#sink = sink;
    this.#structured = structured;
    this.#allocationContext = allocationContext;
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
        this.#parseMagic(source.readUInt32BE(at));
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
        this.#parseContext(source.readUInt32BE(at));
        return used;
      case 'extent':
        this.#parseExtent(source.readUInt32BE(at), source.readUInt32BE(at + 4));
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
      this.#expect('simple', SIMPLE_REPLY_BYTES);
    } else if (magic === NBD_STRUCTURED_REPLY_MAGIC) {
      if (!this.#structured) throw new ProtocolError('The server sent a structured reply that was not negotiated');
      this.#expect('chunk', STRUCTURED_REPLY_BYTES);
    } else {
      throw new ProtocolError(`A reply of the server starts with the unknown magic 0x${magic.toString(16)}`);
    }
  }

  #parseSimple(source: Buffer, at: number): void {
    const reply = this.#simple;
    decodeSimpleReply(source, at, reply);
    const slot = this.#find(reply.cookieHigh, reply.cookieLow);
    const request = requestOf(slot);
    if (this.#structured && (request.kind === 'read' || request.kind === 'block-status')) {
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
    decodeStructuredReply(source, at, chunk);
    const slot = this.#find(chunk.cookieHigh, chunk.cookieLow);
    this.#slot = slot;
    if ((chunk.flags & ~NBD_REPLY_FLAG_DONE) !== 0) {
      throw new ProtocolError(`A chunk of the server has unknown flags 0x${chunk.flags.toString(16)}`);
    }
    const request = requestOf(slot);
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
        requireKind(request, 'block-status', 'status');
        this.#extentsLeft = (chunk.length - BLOCK_STATUS_BYTES) / EXTENT_BYTES;
        this.#requireLength(
          'a status chunk',
          Number.isInteger(this.#extentsLeft) && this.#extentsLeft >= 1 && this.#extentsLeft <= MAX_EXTENTS,
        );
        this.#expect('context', BLOCK_STATUS_BYTES);
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

  #parseContext(id: number): void {
    const slot = this.#slot as Slot;
    if (id !== this.#allocationContext) {
      throw new ProtocolError(`A status chunk names the metadata context ${id}, which was not selected`);
    }
    if (slot.statusBytes > 0) throw new ProtocolError(`Two status chunks of one reply name the metadata context ${id}`);
    this.#expect('extent', EXTENT_BYTES);
  }

  #parseExtent(length: number, flags: number): void {
    const slot = this.#slot as Slot;
    const request = requestOf(slot);
    if (length === 0) throw new ProtocolError('An extent of a status chunk has a length of 0');
    const room = request.length - slot.statusBytes;
    if (room <= 0) throw new ProtocolError('A status chunk has extents beyond the end of its request');
    assert(request.extents !== null, 'A block-status brings a list for its answer');
    request.extents.append(Math.min(length, room), flags & (NBD_STATE_HOLE | NBD_STATE_ZERO));
    // The last extent may reach past the request, so this may too.
    slot.statusBytes += length;
    this.#extentsLeft -= 1;
    if (this.#extentsLeft === 0) this.#endChunk();
  }

  #parseError(payload: Buffer): void {
    const slot = this.#slot as Slot;
    const { error, offset } = decodeErrorPayload(payload, this.#chunk.type);
    const request = requestOf(slot);
    if (offset !== null && (offset < request.offset || offset >= request.offset + request.length)) {
      throw new ProtocolError(`An error chunk names the offset ${offset}, outside its request`);
    }
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
      if (request.kind === 'block-status' && slot.statusBytes === 0) {
        throw new ProtocolError('A reply to a block-status ended without a status');
      }
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

function requireKind(request: BlockRequest, kind: BlockRequest['kind'], what: string): void {
  if (request.kind !== kind) throw new ProtocolError(`The server sent a ${what} chunk in reply to a ${request.kind}`);
}
