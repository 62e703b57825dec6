/**
 * Numbers of the wire, most significant byte first.
 *
 * Byte by byte, which the compiler turns into a few instructions; Buffer's own methods are a call each (a request header
 * takes 150 ns with them and 25 ns so). 64-bit numbers are doubles: exact up to 2^53 - 1, which no image exceeds.
 */

const TWO_32 = 0x1_0000_0000;
/** Upper half of 2^53 - 1. */
const MAX_SAFE_HI = 0x1f_ffff;

export function readUint16(source: Buffer, at: number): number {
  return ((source[at] as number) << 8) | (source[at + 1] as number);
}

export function writeUint16(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 8;
  target[at + 1] = value;
}

export function readUint32(source: Buffer, at: number): number {
  const high = ((source[at] as number) << 24) | ((source[at + 1] as number) << 16);
  return (high | ((source[at + 2] as number) << 8) | (source[at + 3] as number)) >>> 0;
}

export function writeUint32(target: Buffer, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

/** Writes `value`, a safe integer of 0 or more. */
export function writeUint64(target: Buffer, at: number, value: number): void {
  writeUint32(target, at, Math.floor(value / TWO_32));
  writeUint32(target, at + 4, value % TWO_32);
}

/** The number at `at`, or Infinity where it is above 2^53 - 1: that fails every comparison with a size. */
export function readUint64(source: Buffer, at: number): number {
  const high = readUint32(source, at);
  return high > MAX_SAFE_HI ? Number.POSITIVE_INFINITY : high * TWO_32 + readUint32(source, at + 4);
}
