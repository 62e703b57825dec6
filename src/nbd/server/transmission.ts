/**
 * Transmission: the second phase of a connection, from commands to requests of the export's node and back to replies.
 *
 * All commands that have arrived are parsed in place and submitted at once; replies leave in the order of completion.
 * Each command that changes data is exactly one request. A write is submitted when its payload is there as a whole.
 */

import { errnoName } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import {
  type BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from '../../block/block-request.ts';
import { ExtentList } from '../../block/extent-list.ts';
import {
  NBD_CMD_DISC,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_WRITE,
} from '../protocol/constants.ts';
import { blankRequestHeader, decodeRequest, REQUEST_BYTES } from '../protocol/request.ts';
import { MAX_BYTES_IN_FLIGHT, MAX_DRAINED_BYTES, MAX_REQUESTS } from './limits.ts';
import type { NbdExport } from './nbd-export.ts';
import type { Session } from './option-answers.ts';
import type { ReceiveBuffer } from './receive-buffer.ts';
import { ReplyEncoder } from './reply-encoder.ts';
import type { ReplyQueue } from './reply-queue.ts';
import { type Refusal, RequestCheck } from './request-check.ts';

/** The connection, as its transmission phase sees it. */
export interface TransmissionHost {
  /** A request completed outside of `consume`: replies wait to be flushed, and there may be room for more requests. */
  requestCompleted(): void;
}

/** The block layer's word for each command but NBD_CMD_DISC, by the command's number. */
const KINDS: readonly RequestKind[] = [
  'read',
  'write',
  'flush', // in the place of NBD_CMD_DISC
  'flush',
  'discard',
  'cache',
  'write-zeroes',
  'block-status',
];

export class Transmission implements RequestOwner {
  readonly #target: NbdExport;
  readonly #receive: ReceiveBuffer;
  readonly #replies: ReplyQueue;
  readonly #encoder: ReplyEncoder;
  readonly #host: TransmissionHost;
  readonly #check: RequestCheck;
  readonly #header = blankRequestHeader();
  /** Cookies of the requests in flight; a request's tag is its slot. */
  readonly #cookieHigh = new Uint32Array(MAX_REQUESTS);
  readonly #cookieLow = new Uint32Array(MAX_REQUESTS);
  readonly #onlyOneExtent = new Uint8Array(MAX_REQUESTS);
  readonly #freeSlots = Uint16Array.from({ length: MAX_REQUESTS }, (_, slot) => slot);
  #inFlight = 0;
  #bytesInFlight = 0;
  /** Payload still to come of a write that `#refusal` is the answer to. */
  #drainBytes = 0;
  #refusal: Refusal | null = null;
  #hasWritten = false;
  #stalled = false;
  #consuming = false;
  #ended = false;
  #deaf = false;

  constructor(session: Session, receive: ReceiveBuffer, replies: ReplyQueue, host: TransmissionHost) {
    const { target, structuredReplies, contextIds } = session;
    this.#target = target;
    this.#receive = receive;
    this.#replies = replies;
    this.#encoder = new ReplyEncoder(replies, structuredReplies, contextIds);
    this.#host = host;
    this.#check = new RequestCheck({
      sizeBytes: target.sizeBytes,
      writable: target.writable,
      fastZeroes: target.node.limits.fastZeroes,
      structuredReplies,
      metaContexts: contextIds.length > 0,
    });
  }

  /** True while commands that arrived wait for others to complete or for the client to take replies. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** True once the client has taken leave or `end` was called: no command is taken any more. */
  get ended(): boolean {
    return this.#ended;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Takes no more commands. Those in flight complete and are answered. */
  end(): void {
    this.#ended = true;
    this.#stalled = false;
  }

  /** The client is gone: requests in flight complete, and nobody is told. */
  abandon(): void {
    this.end();
    this.#deaf = true;
  }

  /** Parses and submits what has arrived, as far as limits allow. Throws ProtocolError at broken framing. */
  consume(): void {
    this.#consuming = true;
    this.#stalled = false;
    try {
      while (!this.#ended && this.#takeCommand()) this.#replies.flushIfMuch();
    } finally {
      this.#consuming = false;
    }
  }

  /** Takes one command; false where it has to wait. */
  #takeCommand(): boolean {
    const receive = this.#receive;
    const header = this.#header;
    if (this.#refusal !== null) return this.#drain(this.#refusal);
    if (receive.available < REQUEST_BYTES) {
      receive.expect(REQUEST_BYTES);
      return false;
    }
    if (!this.#hasRoomFor(0)) return this.#stall();
    decodeRequest(receive.bytes, receive.start, header);
    const { type, length } = header;
    if (type === NBD_CMD_DISC) {
      this.end();
      return false;
    }
    const refusal = this.#check.refusalOf(header);
    if (refusal !== null) {
      receive.take(REQUEST_BYTES);
      return this.#refuse(refusal, type === NBD_CMD_WRITE ? length : 0);
    }
    const messageBytes = type === NBD_CMD_WRITE ? REQUEST_BYTES + length : REQUEST_BYTES;
    if (receive.available < messageBytes) {
      receive.expect(messageBytes);
      return false;
    }
    if (!this.#hasRoomFor(type === NBD_CMD_READ || type === NBD_CMD_WRITE ? length : 0)) return this.#stall();
    const payloadAt = receive.start + REQUEST_BYTES;
    receive.take(messageBytes);
    if (length === 0 && type !== NBD_CMD_FLUSH) this.#encoder.success(header.cookieHigh, header.cookieLow, type);
    else this.#submit(payloadAt);
    return true;
  }

  /** Submits the command in the header; a write's payload is at `payloadAt` of the receive buffer. */
  #submit(payloadAt: number): void {
    const header = this.#header;
    const request = takeRequest(KINDS[header.type] as RequestKind, this);
    const slot = this.#takeSlot(header.cookieHigh, header.cookieLow);
    request.tag = slot;
    request.offset = header.offset;
    request.length = header.length;
    request.fua = (header.flags & NBD_CMD_FLAG_FUA) !== 0;
    switch (request.kind) {
      case 'read': {
        const slab = this.#encoder.reserveRead(header.length);
        request.buffer = slab.bytes;
        request.at = this.#encoder.payloadAt;
        request.slab = slab;
        this.#bytesInFlight += header.length;
        break;
      }
      case 'write': {
        const slab = this.#receive.slab;
        slab.retain();
        request.buffer = slab.bytes;
        request.at = payloadAt;
        request.slab = slab;
        this.#bytesInFlight += header.length;
        break;
      }
      case 'flush':
        request.offset = 0;
        request.length = 0;
        break;
      case 'write-zeroes':
        request.mayUnmap = (header.flags & NBD_CMD_FLAG_NO_HOLE) === 0;
        request.fastOnly = (header.flags & NBD_CMD_FLAG_FAST_ZERO) !== 0;
        break;
      case 'block-status':
        request.extents = new ExtentList();
        this.#onlyOneExtent[slot] = header.flags & NBD_CMD_FLAG_REQ_ONE;
        break;
    }
    if (!this.#hasWritten && request.changesData) this.#beginWriting();
    this.#target.backend.submit(request);
  }

  /** The count of changes on the backend is then that of this connection, for a checkpoint to compare. */
  #beginWriting(): void {
    this.#hasWritten = true;
    this.#target.backend.restartCount();
  }

  requestDone(request: BlockRequest): void {
    const { kind, errno, slab } = request;
    // The block layer's discard knows no FUA: the reply to such a trim waits for a flush.
    if (kind === 'discard' && request.fua && errno === 0 && !this.#deaf) {
      this.#flushAfter(request);
      return;
    }
    const slot = request.tag;
    if (kind === 'read' || kind === 'write') this.#bytesInFlight -= request.length;
    this.#freeSlot(slot);
    if (this.#deaf) slab?.release();
    else this.#answer(request, this.#cookieHigh[slot] as number, this.#cookieLow[slot] as number);
    releaseRequest(request);
    if (!this.#consuming) this.#host.requestCompleted();
  }

  #answer(request: BlockRequest, cookieHigh: number, cookieLow: number): void {
    const { kind, errno, slab } = request;
    if (errno !== 0) {
      slab?.release();
      this.#encoder.failure(cookieHigh, cookieLow, errno, `The ${kind} failed with ${errnoName(errno)}`);
    } else if (kind === 'read' && slab !== null) {
      this.#encoder.data(cookieHigh, cookieLow, slab, request.at, request.offset, request.length);
    } else if (kind === 'block-status' && request.extents !== null) {
      const onlyOne = this.#onlyOneExtent[request.tag] !== 0;
      this.#encoder.extents(cookieHigh, cookieLow, request.extents, request.length, onlyOne);
    } else {
      slab?.release();
      this.#encoder.success(cookieHigh, cookieLow, NBD_CMD_WRITE);
    }
  }

  #flushAfter(discard: BlockRequest): void {
    const flush = takeRequest('flush', this);
    flush.tag = discard.tag;
    releaseRequest(discard);
    this.#target.backend.submit(flush);
  }

  /** Answers at once, or when `payloadBytes` of a write have been read and dropped. */
  #refuse(refusal: Refusal, payloadBytes: number): boolean {
    if (payloadBytes > MAX_DRAINED_BYTES) {
      throw new ProtocolError(`A write of ${payloadBytes} bytes is more than can be read and dropped`);
    }
    this.#drainBytes = payloadBytes;
    this.#refusal = refusal;
    return this.#drain(refusal);
  }

  #drain(refusal: Refusal): boolean {
    this.#drainBytes -= this.#receive.skip(this.#drainBytes);
    if (this.#drainBytes > 0) return false;
    this.#refusal = null;
    const { cookieHigh, cookieLow } = this.#header;
    this.#encoder.failure(cookieHigh, cookieLow, refusal.errno, refusal.text);
    return true;
  }

  #hasRoomFor(bytes: number): boolean {
    const held = this.#bytesInFlight + this.#replies.unsentBytes;
    return this.#inFlight < MAX_REQUESTS && (held === 0 || held + bytes <= MAX_BYTES_IN_FLIGHT);
  }

  #stall(): boolean {
    this.#stalled = true;
    return false;
  }

  #takeSlot(cookieHigh: number, cookieLow: number): number {
    const slot = this.#freeSlots[this.#inFlight] as number;
    this.#inFlight += 1;
    this.#cookieHigh[slot] = cookieHigh;
    this.#cookieLow[slot] = cookieLow;
    return slot;
  }

  #freeSlot(slot: number): void {
    this.#inFlight -= 1;
    this.#freeSlots[this.#inFlight] = slot;
  }
}
