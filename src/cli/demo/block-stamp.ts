/**
 * The content of a block of the demo's disks: its number and the sequence number of the write that it holds, 256 times
 * over. A block that two writes or two places have mixed in shows it.
 *
 * | bytes     | field                                                      |
 * | --------- | ---------------------------------------------------------- |
 * | 0 to 7    | block number, u64 little-endian                            |
 * | 8 to 15   | sequence number, u64 little-endian; NEVER_WRITTEN is 0     |
 * | 16 to end | the first 16 bytes, 255 times                              |
 */

export const BLOCK_BYTES = 4096;
/** The sequence number of a block as the demo filled it, before any write. */
export const NEVER_WRITTEN = 0;
/** What `readStamp` returns for a block that holds no consistent stamp of its own number. */
export const DAMAGED: number = -1;

const STAMP_BYTES = 16;
const TWO_TO_32 = 2 ** 32;

/** Fills bytes `at` to `at` + BLOCK_BYTES of `target` with the stamp of `block` and `sequence`. */
export function writeStamp(target: Buffer, at: number, block: number, sequence: number): void {
  writeUint64(target, at, block);
  writeUint64(target, at + 8, sequence);
  for (let filled = STAMP_BYTES; filled < BLOCK_BYTES; filled *= 2) target.copy(target, at + filled, at, at + filled);
}

/** The sequence number of `block`, whose content begins at byte `at` of `source`, or DAMAGED. */
export function readStamp(source: Buffer, at: number, block: number): number {
  if (readUint64(source, at) !== block) return DAMAGED;
  // Every 16 bytes are as the 16 before them.
  const end = at + BLOCK_BYTES;
  if (source.compare(source, at + STAMP_BYTES, end, at, end - STAMP_BYTES) !== 0) return DAMAGED;
  return readUint64(source, at + 8);
}

function writeUint64(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value % TWO_TO_32, at);
  target.writeUInt32LE(Math.floor(value / TWO_TO_32), at + 4);
}

function readUint64(source: Buffer, at: number): number {
  return source.readUInt32LE(at + 4) * TWO_TO_32 + source.readUInt32LE(at);
}
