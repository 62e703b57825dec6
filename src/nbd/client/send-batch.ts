/**
 * SendBatch: commands that go to the socket in one write.
 *
 * Headers and small payloads are copied next to each other into one staging buffer, so that a tick full of small
 * writes is a single piece; a large payload is a piece of its own, and its slab is held until the write is over.
 */

import type { Slab } from '../../base/buffer-pool.ts';
import type { BlockRequest, RequestKind } from '../../block/block-request.ts';
import type { Piece } from '../../os/direct-socket.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_DISC,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_PAYLOAD_LEN,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
} from '../protocol/constants.ts';
import { EXTENDED_REQUEST_BYTES, encodeExtendedRequest } from '../protocol/extended-request.ts';
import { encodeRequest, REQUEST_BYTES } from '../protocol/request.ts';
import type { Slot } from './slot-table.ts';

/** Payloads up to this size are copied: cheaper than a further piece in the system call. */
const MAX_COPIED_BYTES = 16 * 1024;
/** Payload bytes that one batch copies; what comes then is referenced. */
const COPY_BYTES = 512 * 1024;

const COMMANDS: Readonly<Record<RequestKind, number>> = {
  read: NBD_CMD_READ,
  write: NBD_CMD_WRITE,
  flush: NBD_CMD_FLUSH,
  discard: NBD_CMD_TRIM,
  'write-zeroes': NBD_CMD_WRITE_ZEROES,
  'block-status': NBD_CMD_BLOCK_STATUS,
  cache: NBD_CMD_CACHE,
};

export class SendBatch {
  readonly #staging: Buffer;
  readonly #encode: typeof encodeRequest;
  readonly #headerBytes: number;
  /** Flags of every command that carries data. */
  readonly #payloadFlags: number;
  #used = 0;
  /** Where the staged bytes begin that are not in a piece yet. */
  #pieceStart = 0;
  #copyRoom = COPY_BYTES;
  readonly #pieces: Piece[] = [];
  readonly #slabs: Slab[] = [];

  /** Takes up to `maxRequests` commands between two calls of `clear`, and one DISC. */
  constructor(maxRequests: number, extendedHeaders: boolean) {
    this.#encode = extendedHeaders ? encodeExtendedRequest : encodeRequest;
    this.#headerBytes = extendedHeaders ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    this.#payloadFlags = extendedHeaders ? NBD_CMD_FLAG_PAYLOAD_LEN : 0;
    this.#staging = Buffer.allocUnsafeSlow((maxRequests + 1) * this.#headerBytes + COPY_BYTES);
  }

  get isEmpty(): boolean {
    return this.#used === 0;
  }

  /** Adds the command for the request in `slot`. */
  add(slot: Slot, request: BlockRequest): void {
    const type = COMMANDS[request.kind];
    const flags = type === NBD_CMD_WRITE ? flagsOf(request) | this.#payloadFlags : flagsOf(request);
    this.#encode(this.#staging, this.#used, flags, type, slot.generation, slot.index, request.offset, request.length);
    this.#used += this.#headerBytes;
    if (type === NBD_CMD_WRITE) this.#addPayload(request);
  }

  /** Adds the command that ends the connection. */
  addDisconnect(): void {
    this.#encode(this.#staging, this.#used, 0, NBD_CMD_DISC, 0, 0, 0, 0);
    this.#used += this.#headerBytes;
  }

  /** What has to be sent, in order. The memory is in use until `clear`. */
  pieces(): readonly Piece[] {
    this.#endPiece();
    return this.#pieces;
  }

  /** Lets go of the memory of the commands. */
  clear(): void {
    this.#used = 0;
    this.#pieceStart = 0;
    this.#copyRoom = COPY_BYTES;
    this.#pieces.length = 0;
    for (const slab of this.#slabs) slab.release();
    this.#slabs.length = 0;
  }

  #addPayload(request: BlockRequest): void {
    const { length } = request;
    if (length <= MAX_COPIED_BYTES && length <= this.#copyRoom) {
      request.buffer.copy(this.#staging, this.#used, request.at, request.at + length);
      this.#used += length;
      this.#copyRoom -= length;
      return;
    }
    this.#endPiece();
    this.#pieces.push({ bytes: request.buffer, from: request.at, to: request.at + length });
    if (request.slab !== null) {
      request.slab.retain();
      this.#slabs.push(request.slab);
    }
  }

  #endPiece(): void {
    if (this.#used > this.#pieceStart) {
      this.#pieces.push({ bytes: this.#staging, from: this.#pieceStart, to: this.#used });
    }
    this.#pieceStart = this.#used;
  }
}

function flagsOf(request: BlockRequest): number {
  if (request.kind === 'write') return request.fua ? NBD_CMD_FLAG_FUA : 0;
  if (request.kind !== 'write-zeroes') return 0;
  return (
    (request.fua ? NBD_CMD_FLAG_FUA : 0) |
    (request.mayUnmap ? 0 : NBD_CMD_FLAG_NO_HOLE) |
    (request.fastOnly ? NBD_CMD_FLAG_FAST_ZERO : 0)
  );
}
