/**
 * ReplyEncoder: replies to commands in the form that was negotiated, built in place in the reply queue.
 *
 * With structured replies, data, extents and errors are chunks; a plain success is a simple reply, which is shorter
 * and allowed for every command but READ and BLOCK_STATUS (NBD proto.md, Structured replies). With extended headers
 * every reply is made of chunks.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import { endOfRun, GRAIN_BYTES, isZeroGrain } from '../../base/zero-runs.ts';
import type { ExtentList } from '../../block/extent-list.ts';
import {
  BLOCK_STATUS_EXT_BYTES,
  EXTENT_EXT_BYTES,
  encodeBlockStatusExt,
  encodeExtentExt,
} from '../protocol/block-status-ext.ts';
import {
  BLOCK_STATUS_BYTES,
  EXTENT_BYTES,
  encodeErrorPayload,
  encodeExtent,
  encodeOffsetData,
  encodeOffsetHole,
  OFFSET_DATA_BYTES,
  OFFSET_HOLE_BYTES,
} from '../protocol/chunk-payload.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_READ,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_BLOCK_STATUS_EXT,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_ERROR_OFFSET,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
  NBD_REPLY_TYPE_OFFSET_HOLE,
} from '../protocol/constants.ts';
import { EXTENDED_REPLY_BYTES, encodeExtendedReply } from '../protocol/extended-reply.ts';
import { encodeSimpleReply, SIMPLE_REPLY_BYTES } from '../protocol/simple-reply.ts';
import { encodeStructuredReply, STRUCTURED_REPLY_BYTES } from '../protocol/structured-reply.ts';
import { wireErrorOf } from '../protocol/wire-errno.ts';
import type { ReplyStyle } from './handshake-state.ts';
import { MAX_EXTENTS } from './limits.ts';
import type { ReplyQueue } from './reply-queue.ts';

/** What a reply repeats of its command. */
export type ReplyAddress = {
  cookieHigh: number;
  cookieLow: number;
  /** Used with extended headers only. */
  offsetHigh: number;
  offsetLow: number;
};

export function blankReplyAddress(): ReplyAddress {
  return { cookieHigh: 0, cookieLow: 0, offsetHigh: 0, offsetLow: 0 };
}

/** The statuses of one context in the answer to a BLOCK_STATUS. */
export type ContextExtents = { readonly contextId: number; readonly extents: ExtentList };

export class ReplyEncoder {
  readonly #replies: ReplyQueue;
  readonly #style: ReplyStyle;
  readonly #chunkHeaderBytes: number;
  /** Bytes of a successful READ's reply before the data. */
  readonly #dataHeaderBytes: number;
  #payloadAt = 0;

  constructor(replies: ReplyQueue, style: ReplyStyle) {
    this.#replies = replies;
    this.#style = style;
    this.#chunkHeaderBytes = style === 'extended' ? EXTENDED_REPLY_BYTES : STRUCTURED_REPLY_BYTES;
    this.#dataHeaderBytes = style === 'simple' ? SIMPLE_REPLY_BYTES : this.#chunkHeaderBytes + OFFSET_DATA_BYTES;
  }

  /** Memory for the `length` bytes of a READ, at `payloadAt` of the slab. End it with `data` or release the slab. */
  reserveRead(length: number): Slab {
    const slab = this.#replies.reserve(this.#dataHeaderBytes, length);
    this.#payloadAt = this.#replies.reservedAt + this.#dataHeaderBytes;
    return slab;
  }

  get payloadAt(): number {
    return this.#payloadAt;
  }

  /**
   * Answers a READ whose data were read to `at` of the slab that `reserveRead` gave; where it may be in fragments, long
   * runs of zeroes are told and not sent.
   */
  data(address: ReplyAddress, slab: Slab, at: number, offset: number, length: number, inFragments: boolean): void {
    if (this.#style === 'simple') {
      encodeSimpleReply(slab.bytes, at - SIMPLE_REPLY_BYTES, 0, address.cookieHigh, address.cookieLow);
      this.#replies.push(slab, at - SIMPLE_REPLY_BYTES, at + length);
    } else if (inFragments && length >= GRAIN_BYTES) {
      this.#fragments(address, slab, at, offset, length);
    } else {
      this.#dataChunk(address, slab, at, offset, length, NBD_REPLY_FLAG_DONE);
    }
  }

  /** Answers a command of `type` that has nothing to tell but success. */
  success(address: ReplyAddress, type: number): void {
    const mustBeChunk = type === NBD_CMD_READ || type === NBD_CMD_BLOCK_STATUS || this.#style === 'extended';
    if (this.#style !== 'simple' && mustBeChunk)
      this.#chunk(address, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, NO_PAYLOAD);
    else this.#simple(address, 0);
  }

  /** Answers with an error; `at` is where on the export it happened, or -1 where that is not known. */
  failure(address: ReplyAddress, errno: number, text: string, at = -1): void {
    const error = wireErrorOf(errno);
    if (this.#style === 'simple') {
      this.#simple(address, error);
    } else if (at < 0) {
      this.#chunk(address, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR, encodeErrorPayload(error, text));
    } else {
      this.#chunk(address, NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR_OFFSET, encodeErrorPayload(error, text, at));
    }
  }

  /** Answers a BLOCK_STATUS over `length` bytes with the extents of each context, or the first where `onlyOne`. */
  extents(address: ReplyAddress, contexts: readonly ContextExtents[], length: number, onlyOne: boolean): void {
    const extended = this.#style === 'extended';
    const type = extended ? NBD_REPLY_TYPE_BLOCK_STATUS_EXT : NBD_REPLY_TYPE_BLOCK_STATUS;
    const payloadOf = extended ? blockStatusExtPayload : blockStatusPayload;
    const last = contexts.length - 1;
    for (const [index, context] of contexts.entries()) {
      const flags = index === last ? NBD_REPLY_FLAG_DONE : 0;
      this.#chunk(address, flags, type, payloadOf(context, length, onlyOne ? 1 : MAX_EXTENTS));
    }
  }

  /** The chunks are written around the data where it lies: the room of zeroes takes the headers of what is beside them. */
  #fragments(address: ReplyAddress, slab: Slab, at: number, offset: number, length: number): void {
    const end = at + length;
    for (let from = at; from < end; ) {
      const fromOffset = offset + from - at;
      const to = endOfRun(slab.bytes, from, end, fromOffset);
      const flags = to === end ? NBD_REPLY_FLAG_DONE : 0;
      slab.retain();
      if (isZeroGrain(slab.bytes, from, end, fromOffset)) {
        this.#holeChunk(address, slab, from, fromOffset, to - from, flags);
      } else {
        this.#dataChunk(address, slab, from, fromOffset, to - from, flags);
      }
      from = to;
    }
    slab.release();
  }

  /** The header goes before `at`. */
  #dataChunk(address: ReplyAddress, slab: Slab, at: number, offset: number, length: number, flags: number): void {
    const from = at - this.#dataHeaderBytes;
    this.#header(slab.bytes, from, address, flags, NBD_REPLY_TYPE_OFFSET_DATA, OFFSET_DATA_BYTES + length);
    encodeOffsetData(slab.bytes, at - OFFSET_DATA_BYTES, offset);
    this.#replies.push(slab, from, at + length);
  }

  /** The chunk goes to `at`, over the zeroes that it tells of. */
  #holeChunk(address: ReplyAddress, slab: Slab, at: number, offset: number, length: number, flags: number): void {
    this.#header(slab.bytes, at, address, flags, NBD_REPLY_TYPE_OFFSET_HOLE, OFFSET_HOLE_BYTES);
    const payloadAt = at + this.#chunkHeaderBytes;
    encodeOffsetHole(slab.bytes, payloadAt, offset, length);
    this.#replies.push(slab, at, payloadAt + OFFSET_HOLE_BYTES);
  }

  #simple(address: ReplyAddress, error: number): void {
    const slab = this.#replies.reserve(SIMPLE_REPLY_BYTES, 0);
    const at = this.#replies.reservedAt;
    encodeSimpleReply(slab.bytes, at, error, address.cookieHigh, address.cookieLow);
    this.#replies.push(slab, at, at + SIMPLE_REPLY_BYTES);
  }

  #chunk(address: ReplyAddress, flags: number, type: number, payload: Buffer): void {
    const bytes = this.#chunkHeaderBytes + payload.length;
    const slab = this.#replies.reserve(this.#chunkHeaderBytes, payload.length);
    const at = this.#replies.reservedAt;
    this.#header(slab.bytes, at, address, flags, type, payload.length);
    if (payload.length > 0) payload.copy(slab.bytes, at + this.#chunkHeaderBytes);
    this.#replies.push(slab, at, at + bytes);
  }

  #header(target: Buffer, at: number, address: ReplyAddress, flags: number, type: number, length: number): void {
    const { cookieHigh, cookieLow, offsetHigh, offsetLow } = address;
    if (this.#style === 'extended') {
      encodeExtendedReply(target, at, flags, type, cookieHigh, cookieLow, offsetHigh, offsetLow, length);
    } else {
      encodeStructuredReply(target, at, flags, type, cookieHigh, cookieLow, length);
    }
  }
}

const NO_PAYLOAD = Buffer.alloc(0);

/** At most `maxExtents` extents, none of them beyond the `length` bytes that were asked for. */
function blockStatusPayload({ contextId, extents }: ContextExtents, length: number, maxExtents: number): Buffer {
  const count = Math.min(extents.lengths.length, maxExtents);
  const payload = Buffer.alloc(BLOCK_STATUS_BYTES + count * EXTENT_BYTES);
  payload.writeUInt32BE(contextId, 0);
  let at = BLOCK_STATUS_BYTES;
  let left = length;
  for (let i = 0; i < count && left > 0; i++) {
    const extentBytes = Math.min(extents.lengths[i] as number, left);
    encodeExtent(payload, at, extentBytes, extents.flags[i] as number);
    at += EXTENT_BYTES;
    left -= extentBytes;
  }
  return payload.subarray(0, at);
}

/** The same with 64-bit lengths. */
function blockStatusExtPayload({ contextId, extents }: ContextExtents, length: number, maxExtents: number): Buffer {
  const most = Math.min(extents.lengths.length, maxExtents);
  const payload = Buffer.alloc(BLOCK_STATUS_EXT_BYTES + most * EXTENT_EXT_BYTES);
  let count = 0;
  for (let left = length; count < most && left > 0; count++) {
    const extentBytes = Math.min(extents.lengths[count] as number, left);
    const at = BLOCK_STATUS_EXT_BYTES + count * EXTENT_EXT_BYTES;
    encodeExtentExt(payload, at, extentBytes, extents.flags[count] as number);
    left -= extentBytes;
  }
  encodeBlockStatusExt(payload, 0, contextId, count);
  return payload.subarray(0, BLOCK_STATUS_EXT_BYTES + count * EXTENT_EXT_BYTES);
}
