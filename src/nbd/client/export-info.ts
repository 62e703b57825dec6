/** ExportInfo: what a server says about an export during the handshake. */

import { ProtocolError } from '../../base/errors.ts';
import {
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_HAS_FLAGS,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_ROTATIONAL,
  NBD_FLAG_SEND_CACHE,
  NBD_FLAG_SEND_DF,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_TRIM,
  NBD_FLAG_SEND_WRITE_ZEROES,
  NBD_MAX_PAYLOAD_BYTES,
} from '../protocol/constants.ts';

export type BlockSizes = {
  /** Offsets and lengths are multiples of this many bytes; 1 where the server did not say. */
  readonly minBlockBytes: number;
  readonly preferredBlockBytes: number;
  /** Most bytes of one read or write; 32 MiB where the server did not say. */
  readonly maxBlockBytes: number;
};

export type ExportInfo = BlockSizes & {
  /** As the server calls it where that was asked for, which `NbdClient.info` does; else as the client does. */
  readonly name: string;
  /** The server said the block sizes; where it did not they are what the specification has clients assume. */
  readonly saidBlockSizes: boolean;
  /** For people; empty where the server gave none. */
  readonly description: string;
  readonly sizeBytes: number;
  /** The transmission flags as they came. */
  readonly flags: number;
  readonly readOnly: boolean;
  readonly canFlush: boolean;
  readonly canFua: boolean;
  readonly canTrim: boolean;
  readonly canWriteZeroes: boolean;
  readonly canFastZero: boolean;
  readonly canCache: boolean;
  readonly canDontFragment: boolean;
  /** Several connections see each other's completed writes, and a flush on one covers them all. */
  readonly canMultiConn: boolean;
  readonly isRotational: boolean;
};

const DEFAULT_BLOCK_SIZES: BlockSizes = {
  minBlockBytes: 1,
  preferredBlockBytes: 4096,
  maxBlockBytes: NBD_MAX_PAYLOAD_BYTES,
};

const MAX_MIN_BLOCK_BYTES = 64 * 1024;
const UNLIMITED = 0xffffffff;

/** Without `blockSizes` those of a server that says none. Throws ProtocolError where the flags lack NBD_FLAG_HAS_FLAGS. */
export function exportInfo(
  name: string,
  description: string,
  sizeBytes: number,
  flags: number,
  blockSizes: BlockSizes | null,
): ExportInfo {
  if ((flags & NBD_FLAG_HAS_FLAGS) === 0) {
    throw new ProtocolError('The transmission flags of the server lack NBD_FLAG_HAS_FLAGS');
  }
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return {
    ...(blockSizes ?? DEFAULT_BLOCK_SIZES),
    saidBlockSizes: blockSizes !== null,
    name,
    description,
    sizeBytes,
    flags,
    readOnly: has(NBD_FLAG_READ_ONLY),
    canFlush: has(NBD_FLAG_SEND_FLUSH),
    canFua: has(NBD_FLAG_SEND_FUA),
    canTrim: has(NBD_FLAG_SEND_TRIM),
    canWriteZeroes: has(NBD_FLAG_SEND_WRITE_ZEROES),
    canFastZero: has(NBD_FLAG_SEND_FAST_ZERO),
    canCache: has(NBD_FLAG_SEND_CACHE),
    canDontFragment: has(NBD_FLAG_SEND_DF),
    canMultiConn: has(NBD_FLAG_CAN_MULTI_CONN),
    isRotational: has(NBD_FLAG_ROTATIONAL),
  };
}

/** Block sizes as the server gave them (NBD proto.md, Block size constraints); ProtocolError where they cannot be. */
export function checkedBlockSizes(minimum: number, preferred: number, maximum: number): BlockSizes {
  if (!isPowerOfTwo(minimum) || minimum > MAX_MIN_BLOCK_BYTES) {
    throw new ProtocolError(`A minimum block size is a power of 2 up to ${MAX_MIN_BLOCK_BYTES}, not ${minimum}`);
  }
  if (!isPowerOfTwo(preferred) || preferred < minimum) {
    throw new ProtocolError(`A preferred block size is a power of 2 from the minimum ${minimum} on, not ${preferred}`);
  }
  if (maximum !== UNLIMITED && (maximum < minimum || maximum % minimum !== 0)) {
    throw new ProtocolError(`A maximum block size is a multiple of the minimum ${minimum}, not ${maximum}`);
  }
  return { minBlockBytes: minimum, preferredBlockBytes: preferred, maxBlockBytes: maximum };
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}
