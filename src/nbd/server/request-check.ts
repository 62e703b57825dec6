/**
 * RequestCheck: whether a request keeps the rules of the specification and what was negotiated.
 *
 * The order: known command, permission, flags, size, bounds (NBD proto.md, Error values and Request types).
 */

import { EINVAL, ENOSPC, EPERM } from '../../base/errno.ts';
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_FLAG_DF,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLAG_PAYLOAD_LEN,
  NBD_CMD_FLAG_REQ_ONE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
  NBD_MAX_PAYLOAD_BYTES,
} from '../protocol/constants.ts';
import type { RequestHeader } from '../protocol/request.ts';

/** Why a request is refused without reaching the node. */
export type Refusal = { readonly errno: number; readonly text: string };

export const UNKNOWN_COMMAND: Refusal = { errno: EINVAL, text: 'Unknown command' };
export const READ_ONLY: Refusal = { errno: EPERM, text: 'The export is read-only' };
export const NO_PAYLOAD: Refusal = {
  errno: EINVAL,
  text: 'A write with extended headers has to say that it has a payload',
};
export const UNKNOWN_FLAG: Refusal = { errno: EINVAL, text: 'The command does not have one of its flags here' };
export const TOO_LONG: Refusal = { errno: EINVAL, text: 'The payload is longer than the maximum block size of 32 MiB' };
export const NO_CONTEXT: Refusal = { errno: EINVAL, text: 'No metadata context was negotiated' };
export const PAST_THE_END: Refusal = { errno: EINVAL, text: 'The range ends past the end of the export' };
export const NO_SPACE: Refusal = { errno: ENOSPC, text: 'The range ends past the end of the export' };

/** What the connection agreed on. */
export type Agreement = {
  readonly sizeBytes: number;
  readonly writable: boolean;
  readonly fastZeroes: boolean;
  readonly structuredReplies: boolean;
  /** Goes with structured replies. */
  readonly extendedHeaders: boolean;
  readonly metaContexts: boolean;
};

export class RequestCheck {
  readonly #agreement: Agreement;
  /** Flags each command may carry, by its number. */
  readonly #allowedFlags: readonly number[];

  constructor(agreement: Agreement) {
    this.#agreement = agreement;
    const allowed = new Array<number>(NBD_CMD_BLOCK_STATUS + 1).fill(NBD_CMD_FLAG_FUA);
    if (agreement.structuredReplies) allowed[NBD_CMD_READ] = NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_DF;
    allowed[NBD_CMD_WRITE_ZEROES] =
      NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_NO_HOLE | (agreement.fastZeroes ? NBD_CMD_FLAG_FAST_ZERO : 0);
    allowed[NBD_CMD_BLOCK_STATUS] = NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_REQ_ONE;
    if (agreement.extendedHeaders) {
      allowed[NBD_CMD_WRITE] = NBD_CMD_FLAG_FUA | NBD_CMD_FLAG_PAYLOAD_LEN;
      if (agreement.metaContexts) allowed[NBD_CMD_BLOCK_STATUS] |= NBD_CMD_FLAG_PAYLOAD_LEN;
    }
    this.#allowedFlags = allowed;
  }

  /** The rule that `header` breaks, or null. NBD_CMD_DISC is not for here. */
  refusalOf(header: RequestHeader): Refusal | null {
    const { type, offset, length } = header;
    const { sizeBytes, writable, metaContexts, extendedHeaders } = this.#agreement;
    if (type > NBD_CMD_BLOCK_STATUS) return UNKNOWN_COMMAND;
    const stores = type === NBD_CMD_WRITE || type === NBD_CMD_WRITE_ZEROES;
    if (!writable && (stores || type === NBD_CMD_TRIM)) return READ_ONLY;
    if ((header.flags & ~(this.#allowedFlags[type] as number)) !== 0) return UNKNOWN_FLAG;
    if (extendedHeaders && type === NBD_CMD_WRITE && (header.flags & NBD_CMD_FLAG_PAYLOAD_LEN) === 0) return NO_PAYLOAD;
    if (type === NBD_CMD_FLUSH) return null;
    if (type === NBD_CMD_BLOCK_STATUS && !metaContexts) return NO_CONTEXT;
    if ((type === NBD_CMD_READ || type === NBD_CMD_WRITE) && length > NBD_MAX_PAYLOAD_BYTES) return TOO_LONG;
    if (offset > sizeBytes || length > sizeBytes - offset) return stores ? NO_SPACE : PAST_THE_END;
    return null;
  }
}
