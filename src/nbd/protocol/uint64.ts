/** 64-bit numbers of the wire as doubles: exact up to 2^53 - 1, which no image exceeds. */

const TWO_32 = 0x1_0000_0000;
/** Upper half of 2^53 - 1. */
const MAX_SAFE_HI = 0x1f_ffff;

/** Writes `value`, a safe integer of 0 or more. */
export function writeUint64(target: Buffer, at: number, value: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), at);
  target.writeUInt32BE(value % TWO_32, at + 4);
}

/** The number at `at`, or Infinity where it is above 2^53 - 1: that fails every comparison with a size. */
export function readUint64(source: Buffer, at: number): number {
  const hi = source.readUInt32BE(at);
  return hi > MAX_SAFE_HI ? Number.POSITIVE_INFINITY : hi * TWO_32 + source.readUInt32BE(at + 4);
}
