/** Runs of zeroes in data that was read, found by whole grains so that looking costs little. */

/** A run of zeroes counts from this length on, and is so aligned on the disk. */
export const GRAIN_BYTES: number = 64 * 1024;

const ZEROES = Buffer.alloc(GRAIN_BYTES);

/** True where a grain of zeroes starts at `at` and ends before `end`. Byte `at` of `bytes` is at `offset` of the disk. */
export function isZeroGrain(bytes: Buffer, at: number, end: number, offset: number): boolean {
  return (
    bytes[at] === 0 &&
    offset % GRAIN_BYTES === 0 &&
    end - at >= GRAIN_BYTES &&
    ZEROES.compare(bytes, at, at + GRAIN_BYTES) === 0
  );
}

/** Where the run from `at` ends: the next byte at which grains of zeroes begin or end, or `end`. */
export function endOfRun(bytes: Buffer, at: number, end: number, offset: number): number {
  const isHole = isZeroGrain(bytes, at, end, offset);
  const shift = offset - at;
  let to = at;
  do to = Math.min(end, to + GRAIN_BYTES - ((to + shift) % GRAIN_BYTES));
  while (to < end && isZeroGrain(bytes, to, end, to + shift) === isHole);
  return to;
}
