/**
 * ReplyEncoder: replies to commands in the form that was negotiated, built in place in the reply queue.
 *
 * With structured replies, data, extents and errors are chunks; a plain success is a simple reply, which is shorter
 * and allowed for every command but READ and BLOCK_STATUS (NBD proto.md, Structured replies).
 */

import type { Slab } from '../../base/buffer-pool.ts';
import type { ExtentList } from '../../block/extent-list.ts';
import {
  BLOCK_STATUS_BYTES,
  EXTENT_BYTES,
  encodeErrorPayload,
  encodeExtent,
  encodeOffsetData,
  OFFSET_DATA_BYTES,
} from '../protocol/chunk-payload.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_READ,
  NBD_REPLY_FLAG_DONE,
  NBD_REPLY_TYPE_BLOCK_STATUS,
  NBD_REPLY_TYPE_ERROR,
  NBD_REPLY_TYPE_NONE,
  NBD_REPLY_TYPE_OFFSET_DATA,
} from '../protocol/constants.ts';
import { encodeSimpleReply, SIMPLE_REPLY_BYTES } from '../protocol/simple-reply.ts';
import { encodeStructuredReply, STRUCTURED_REPLY_BYTES } from '../protocol/structured-reply.ts';
import { wireErrorOf } from '../protocol/wire-errno.ts';
import { MAX_EXTENTS } from './limits.ts';
import type { ReplyQueue } from './reply-queue.ts';

export class ReplyEncoder {
  readonly #replies: ReplyQueue;
  readonly #structured: boolean;
  readonly #contextIds: readonly number[];
  /** Bytes of a successful READ's reply before the data. */
  readonly #dataHeaderBytes: number;
  #payloadAt = 0;

  constructor(replies: ReplyQueue, structured: boolean, contextIds: readonly number[]) {
    this.#replies = replies;
    this.#structured = structured;
    this.#contextIds = contextIds;
    this.#dataHeaderBytes = structured ? STRUCTURED_REPLY_BYTES + OFFSET_DATA_BYTES : SIMPLE_REPLY_BYTES;
  }

  /** Memory for the `length` bytes of a READ, at `payloadAt` of the slab. End it with `data` or release the slab. */
  reserveRead(length: number): Slab {
    const slab = this.#replies.reserve(this.#dataHeaderBytes + length);
    this.#payloadAt = this.#replies.reservedAt + this.#dataHeaderBytes;
    return slab;
  }

  get payloadAt(): number {
    return this.#payloadAt;
  }

  /** Answers a READ whose data were read to `at` of the slab that `reserveRead` gave. */
  data(cookieHigh: number, cookieLow: number, slab: Slab, at: number, offset: number, length: number): void {
    const from = at - this.#dataHeaderBytes;
    if (this.#structured) {
      const payloadBytes = OFFSET_DATA_BYTES + length;
      const type = NBD_REPLY_TYPE_OFFSET_DATA;
      encodeStructuredReply(slab.bytes, from, NBD_REPLY_FLAG_DONE, type, cookieHigh, cookieLow, payloadBytes);
      encodeOffsetData(slab.bytes, from + STRUCTURED_REPLY_BYTES, offset);
    } else {
      encodeSimpleReply(slab.bytes, from, 0, cookieHigh, cookieLow);
    }
    this.#replies.push(slab, from, at + length);
  }

  /** Answers a command of `type` that has nothing to tell but success. */
  success(cookieHigh: number, cookieLow: number, type: number): void {
    if (this.#structured && (type === NBD_CMD_READ || type === NBD_CMD_BLOCK_STATUS)) {
      this.#chunk(NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_NONE, cookieHigh, cookieLow, NO_PAYLOAD);
      return;
    }
    this.#simple(cookieHigh, cookieLow, 0);
  }

  failure(cookieHigh: number, cookieLow: number, errno: number, text: string): void {
    const error = wireErrorOf(errno);
    if (this.#structured) {
      const payload = encodeErrorPayload(error, text);
      this.#chunk(NBD_REPLY_FLAG_DONE, NBD_REPLY_TYPE_ERROR, cookieHigh, cookieLow, payload);
    } else {
      this.#simple(cookieHigh, cookieLow, error);
    }
  }

  /** Answers a BLOCK_STATUS over `length` bytes with `extents`, or the first of them where `onlyOne`. */
  extents(cookieHigh: number, cookieLow: number, extents: ExtentList, length: number, onlyOne: boolean): void {
    const last = this.#contextIds.length - 1;
    for (const [index, contextId] of this.#contextIds.entries()) {
      const payload = blockStatusPayload(contextId, extents, length, onlyOne ? 1 : MAX_EXTENTS);
      const flags = index === last ? NBD_REPLY_FLAG_DONE : 0;
      this.#chunk(flags, NBD_REPLY_TYPE_BLOCK_STATUS, cookieHigh, cookieLow, payload);
    }
  }

  #simple(cookieHigh: number, cookieLow: number, error: number): void {
    const slab = this.#replies.reserve(SIMPLE_REPLY_BYTES);
    const at = this.#replies.reservedAt;
    encodeSimpleReply(slab.bytes, at, error, cookieHigh, cookieLow);
    this.#replies.push(slab, at, at + SIMPLE_REPLY_BYTES);
  }

  #chunk(flags: number, type: number, cookieHigh: number, cookieLow: number, payload: Buffer): void {
    const bytes = STRUCTURED_REPLY_BYTES + payload.length;
    const slab = this.#replies.reserve(bytes);
    const at = this.#replies.reservedAt;
    encodeStructuredReply(slab.bytes, at, flags, type, cookieHigh, cookieLow, payload.length);
    payload.copy(slab.bytes, at + STRUCTURED_REPLY_BYTES);
    this.#replies.push(slab, at, at + bytes);
  }
}

const NO_PAYLOAD = Buffer.alloc(0);

/** At most `maxExtents` extents, none of them beyond the `length` bytes that were asked for. */
function blockStatusPayload(contextId: number, extents: ExtentList, length: number, maxExtents: number): Buffer {
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
