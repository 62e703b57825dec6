/**
 * Transmission: the second phase of a connection, from commands to requests of the export's node and back to replies.
 *
 * All commands that have arrived are parsed in place and submitted at once; replies leave in the order of completion.
 * Each command that changes data is exactly one request. A write is submitted when its payload is there as a whole.
 */

import { EINVAL, EIO, ENOTSUP, EOVERFLOW, ESHUTDOWN, errnoName } from '../../base/errno.ts';
import { ProtocolError } from '../../base/errors.ts';
import {
  type BlockRequest,
  type RequestKind,
  type RequestOwner,
  releaseRequest,
  takeRequest,
} from '../../block/block-request.ts';
import { ExtentList } from '../../block/extent-list.ts';
import { readUint32 } from '../protocol/big-endian.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_DISC,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_PAYLOAD_LEN,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_WRITE,
} from '../protocol/constants.ts';
import { blankRequestHeader } from '../protocol/request.ts';
import type { ExportContext } from './export-context.ts';
import type { Session } from './handshake-state.ts';
import { MAX_BYTES_IN_FLIGHT, MAX_DRAINED_BYTES, MAX_REQUESTS, MAX_UNSENT_BYTES } from './limits.ts';
import type { NbdExport } from './nbd-export.ts';
import type { ReceiveBuffer } from './receive-buffer.ts';
import { blankReplyAddress, ReplyEncoder } from './reply-encoder.ts';
import type { ReplyQueue } from './reply-queue.ts';
import { type Refusal, RequestCheck } from './request-check.ts';
import { COMPACT_FRAMING, EXTENDED_FRAMING, type RequestFraming } from './request-framing.ts';
import { maxQueryBytes, type SelectedContext, statusQueryOf } from './status-query.ts';

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

/** Where the offset is in the header of a command. */
const OFFSET_AT = 16;

const STOPPING: Refusal = { errno: ESHUTDOWN, text: 'The server is shutting down' };
const BAD_QUERY: Refusal = { errno: EINVAL, text: 'The payload does not name contexts that were selected' };

export class Transmission implements RequestOwner {
  readonly #target: NbdExport;
  readonly #receive: ReceiveBuffer;
  readonly #replies: ReplyQueue;
  readonly #encoder: ReplyEncoder;
  readonly #host: TransmissionHost;
  readonly #framing: RequestFraming;
  readonly #contexts: readonly SelectedContext[];
  readonly #check: RequestCheck;
  readonly #header = blankRequestHeader();
  /** Whom the command in the header is to be answered to, and whom a request that completed. */
  readonly #commandAddress = blankReplyAddress();
  readonly #replyAddress = blankReplyAddress();
  /** What replies to the requests in flight need of their commands; a request's tag is its slot. */
  readonly #cookieHigh = new Uint32Array(MAX_REQUESTS);
  readonly #cookieLow = new Uint32Array(MAX_REQUESTS);
  readonly #offsetHigh = new Uint32Array(MAX_REQUESTS);
  readonly #offsetLow = new Uint32Array(MAX_REQUESTS);
  readonly #flags = new Uint8Array(MAX_REQUESTS);
  /** The contexts a BLOCK_STATUS asks for, if not all. */
  readonly #queried = new Map<number, readonly SelectedContext[]>();
  readonly #freeSlots = Uint16Array.from({ length: MAX_REQUESTS }, (_, slot) => slot);
  #inFlight = 0;
  #bytesInFlight = 0;
  /** Payload still to come of a write that `#refusal` is the answer to. */
  #drainBytes = 0;
  #refusal: Refusal | null = null;
  #hasWritten = false;
  #isStopping = false;
  #stalled = false;
  #consuming = false;
  #ended = false;
  #deaf = false;
  #tookLeave = false;

  constructor(session: Session, receive: ReceiveBuffer, replies: ReplyQueue, host: TransmissionHost) {
    const { target, replyStyle, contextIds } = session;
    this.#target = target;
    this.#receive = receive;
    this.#replies = replies;
    this.#encoder = new ReplyEncoder(replies, replyStyle);
    this.#host = host;
    this.#framing = replyStyle === 'extended' ? EXTENDED_FRAMING : COMPACT_FRAMING;
    receive.alignBehindHeaders(this.#framing.headerBytes);
    this.#contexts = contextIds.map(id => ({ id, context: target.metaContexts[id - 1] as ExportContext }));
    this.#check = new RequestCheck({
      sizeBytes: target.sizeBytes,
      writable: target.writable,
      fastZeroes: target.node.limits.fastZeroes,
      structuredReplies: replyStyle !== 'simple',
      extendedHeaders: replyStyle === 'extended',
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

  /** From now on commands are refused with ESHUTDOWN. Those in flight complete and are answered. */
  refuseCommands(): void {
    this.#isStopping = true;
  }

  /** The client is gone: requests in flight complete, and nobody is told. */
  abandon(): void {
    this.end();
    if (this.#hasWritten && !this.#deaf) this.#target.backend.endWriting(this.#tookLeave);
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
    const framing = this.#framing;
    if (this.#refusal !== null) return this.#drain(this.#refusal);
    if (receive.available < framing.headerBytes) {
      receive.expect(framing.headerBytes);
      return false;
    }
    if (!this.#hasRoomFor(0)) return this.#stall();
    framing.decode(receive.bytes, receive.start, header);
    const { type } = header;
    if (type === NBD_CMD_DISC) {
      this.#tookLeave = true;
      this.end();
      return false;
    }
    const payloadBytes = framing.payloadBytes(header);
    this.#noteAddress();
    if (this.#isStopping) return this.#refuse(STOPPING, payloadBytes);
    if (type === NBD_CMD_BLOCK_STATUS && payloadBytes > 0) return this.#takeStatusQuery(payloadBytes);
    const refusal = this.#check.refusalOf(header);
    if (refusal !== null) return this.#refuse(refusal, payloadBytes);
    const messageBytes = framing.headerBytes + payloadBytes;
    if (receive.available < messageBytes) {
      receive.expect(messageBytes);
      return false;
    }
    const { length } = header;
    if (!this.#hasRoomFor(type === NBD_CMD_READ || type === NBD_CMD_WRITE ? length : 0)) return this.#stall();
    const payloadAt = receive.start + framing.headerBytes;
    receive.take(messageBytes);
    if (length === 0 && type !== NBD_CMD_FLUSH) this.#encoder.success(this.#commandAddress, type);
    else this.#submit(payloadAt, null);
    return true;
  }

  /** Takes a BLOCK_STATUS whose payload says which contexts, of those that were selected, and how much of the export. */
  #takeStatusQuery(payloadBytes: number): boolean {
    const receive = this.#receive;
    const header = this.#header;
    const { headerBytes } = this.#framing;
    if (payloadBytes > maxQueryBytes(this.#contexts)) return this.#refuse(BAD_QUERY, payloadBytes);
    if (receive.available < headerBytes + payloadBytes) {
      receive.expect(headerBytes + payloadBytes);
      return false;
    }
    const payloadAt = receive.start + headerBytes;
    const query = statusQueryOf(receive.bytes.subarray(payloadAt, payloadAt + payloadBytes), this.#contexts);
    if (query === null) return this.#refuse(BAD_QUERY, payloadBytes);
    header.length = query.length;
    header.flags &= ~NBD_CMD_FLAG_PAYLOAD_LEN;
    const refusal = this.#check.refusalOf(header);
    if (refusal !== null) return this.#refuse(refusal, payloadBytes);
    receive.take(headerBytes + payloadBytes);
    if (header.length === 0) this.#encoder.success(this.#commandAddress, NBD_CMD_BLOCK_STATUS);
    else this.#submit(payloadAt, query.contexts);
    return true;
  }

  /** Keeps what the reply to the command in the header repeats of it. */
  #noteAddress(): void {
    const address = this.#commandAddress;
    address.cookieHigh = this.#header.cookieHigh;
    address.cookieLow = this.#header.cookieLow;
    if (this.#framing === EXTENDED_FRAMING) {
      const { bytes, start } = this.#receive;
      address.offsetHigh = readUint32(bytes, start + OFFSET_AT);
      address.offsetLow = readUint32(bytes, start + OFFSET_AT + 4);
    }
  }

  /**
   * Submits the command in the header; a write's payload is at `payloadAt` of the receive buffer. A BLOCK_STATUS is
   * answered for `contexts`, or for all where that is null.
   */
  #submit(payloadAt: number, contexts: readonly SelectedContext[] | null): void {
    const header = this.#header;
    const request = takeRequest(KINDS[header.type] as RequestKind, this);
    const slot = this.#takeSlot();
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
        request.fua ||= this.#target.writethrough;
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
        request.fua ||= this.#target.writethrough;
        request.mayUnmap = (header.flags & NBD_CMD_FLAG_NO_HOLE) === 0;
        request.fastOnly = (header.flags & NBD_CMD_FLAG_FAST_ZERO) !== 0;
        break;
      case 'block-status':
        request.extents = new ExtentList();
        if (contexts !== null) this.#queried.set(slot, contexts);
        break;
    }
    if (!this.#hasWritten && request.changesData) this.#beginWriting();
    this.#target.backend.submit(request);
  }

  /** The count of changes on the backend is then that of this connection, for a checkpoint to compare. */
  #beginWriting(): void {
    this.#hasWritten = true;
    this.#target.backend.beginWriting();
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
    else this.#answer(request, slot);
    releaseRequest(request);
    if (!this.#consuming) this.#host.requestCompleted();
  }

  #answer(request: BlockRequest, slot: number): void {
    const { kind, errno, slab, offset, length } = request;
    const address = this.#replyAddress;
    address.cookieHigh = this.#cookieHigh[slot] as number;
    address.cookieLow = this.#cookieLow[slot] as number;
    address.offsetHigh = this.#offsetHigh[slot] as number;
    address.offsetLow = this.#offsetLow[slot] as number;
    const flags = this.#flags[slot] as number;
    if (errno !== 0) {
      slab?.release();
      const at = kind === 'read' ? request.errorAt : -1;
      this.#encoder.failure(
        address,
        tellableErrno(errno, flags, this.#target.isOpen),
        `The ${kind} failed with ${errnoName(errno)}`,
        at,
      );
    } else if (kind === 'read' && slab !== null) {
      this.#encoder.data(address, slab, request.at, offset, length, (flags & NBD_CMD_FLAG_DF) === 0);
    } else if (kind === 'block-status' && request.extents !== null) {
      const allocation = request.extents;
      const answers = this.#contextsOf(slot).map(({ id, context }) => ({
        contextId: id,
        extents: context.extentsOf(offset, length, allocation),
      }));
      this.#encoder.extents(address, answers, length, (flags & NBD_CMD_FLAG_REQ_ONE) !== 0);
    } else {
      slab?.release();
      this.#encoder.success(address, NBD_CMD_WRITE);
    }
  }

  /** The contexts that the BLOCK_STATUS of `slot` asked for. */
  #contextsOf(slot: number): readonly SelectedContext[] {
    const queried = this.#queried.get(slot);
    this.#queried.delete(slot);
    return queried ?? this.#contexts;
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
      throw new ProtocolError(`A refused payload of ${payloadBytes} bytes is more than can be read and dropped`);
    }
    this.#receive.take(this.#framing.headerBytes);
    this.#drainBytes = payloadBytes;
    this.#refusal = refusal;
    return this.#drain(refusal);
  }

  #drain(refusal: Refusal): boolean {
    this.#drainBytes -= this.#receive.skip(this.#drainBytes);
    if (this.#drainBytes > 0) return false;
    this.#refusal = null;
    this.#encoder.failure(this.#commandAddress, refusal.errno, refusal.text);
    return true;
  }

  #hasRoomFor(bytes: number): boolean {
    const held = this.#bytesInFlight;
    return (
      this.#inFlight < MAX_REQUESTS &&
      this.#replies.unsentBytes < MAX_UNSENT_BYTES &&
      (held === 0 || held + bytes <= MAX_BYTES_IN_FLIGHT)
    );
  }

  #stall(): boolean {
    this.#stalled = true;
    return false;
  }

  #takeSlot(): number {
    const slot = this.#freeSlots[this.#inFlight] as number;
    const { cookieHigh, cookieLow, offsetHigh, offsetLow } = this.#commandAddress;
    this.#inFlight += 1;
    this.#cookieHigh[slot] = cookieHigh;
    this.#cookieLow[slot] = cookieLow;
    this.#offsetHigh[slot] = offsetHigh;
    this.#offsetLow[slot] = offsetLow;
    this.#flags[slot] = this.#header.flags;
    return slot;
  }

  #freeSlot(slot: number): void {
    this.#inFlight -= 1;
    this.#freeSlots[this.#inFlight] = slot;
  }
}

/**
 * On the wire ENOTSUP answers a fast zeroing, EOVERFLOW an unfragmented read and ESHUTDOWN what comes when the export
 * closes; from a disk, such as one behind another server that is gone, they are failures.
 */
function tellableErrno(errno: number, flags: number, isOpen: boolean): number {
  if (errno === EOVERFLOW || (errno === ESHUTDOWN && isOpen)) return EIO;
  return errno === ENOTSUP && (flags & NBD_CMD_FLAG_FAST_ZERO) === 0 ? EIO : errno;
}
