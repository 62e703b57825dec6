/**
 * A random sequence of what can happen to a replicated disk between its start and a take-over.
 *
 * Steps follow each other; the writes of one step are in flight together. Their ranges on one side do not overlap,
 * since requests in flight at once have no order; a primary and a standby write of one range may well.
 *
 * QEMU 7.2 replicates no primary write that is not made of whole sectors: its replication driver fills the rest of
 * the sector with whatever its memory held, and the secondary's disk differs from the primary's. So the primary's
 * writes are aligned to sectors where QEMU takes part, and to nothing where it does not.
 */

import { SeededRandom } from '../support/seeded-random.ts';

export type Side = 'primary' | 'standby';

export type Write = {
  readonly side: Side;
  readonly offset: number;
  readonly length: number;
  /** The bytes to write, or null for a write-zeroes. */
  readonly data: Buffer | null;
};

export type Step =
  | { readonly kind: 'write'; readonly writes: readonly Write[] }
  | { readonly kind: 'compare' }
  | { readonly kind: 'checkpoint' }
  /** Take-over with the checkpoint image. Only standby writes and comparisons follow. */
  | { readonly kind: 'failover' };

export type Sequence = {
  readonly seed: number;
  readonly sizeBytes: number;
  readonly steps: readonly Step[];
};

/** Bytes that offsets and lengths of the primary's writes are multiples of. */
export type PrimaryAlignment = 1 | 512;

const MIB = 1024 * 1024;
const MAX_WRITES_IN_FLIGHT = 6;
const MAX_BYTES = 200_000;

/** Always the same sequence for the same seed and alignment. */
export function randomSequence(seed: number, primaryAlignment: PrimaryAlignment): Sequence {
  const random = new SeededRandom(seed);
  const primary: Writer = { side: 'primary', alignment: primaryAlignment };
  const standby: Writer = { side: 'standby', alignment: 1 };
  const sizeBytes = randomSize(random);
  const steps: Step[] = [];
  for (let count = random.between(5, 30); count > 0; count -= 1) {
    const dice = random.below(10);
    if (dice === 0) steps.push({ kind: 'checkpoint' });
    else if (dice === 1) steps.push({ kind: 'compare' });
    else steps.push({ kind: 'write', writes: randomWrites(random, sizeBytes, [primary, standby]) });
  }
  steps.push({ kind: 'compare' }, { kind: 'failover' }, { kind: 'compare' });
  steps.push({ kind: 'write', writes: randomWrites(random, sizeBytes, [standby]) }, { kind: 'compare' });
  return { seed, sizeBytes, steps };
}

/** What a person needs to follow a failed sequence, a line a step. */
export function describeSequence({ seed, sizeBytes, steps }: Sequence): string {
  const lines = steps.map(step => (step.kind === 'write' ? step.writes.map(describeWrite).join(', ') : step.kind));
  return [`seed ${seed}, ${sizeBytes} bytes`, ...lines.map((line, index) => `${index}: ${line}`)].join('\n');
}

/** 1 to 4 MiB: some round, some a multiple of 512 bytes that ends within a chunk and within a cluster. */
function randomSize(random: SeededRandom): number {
  const mebibytes = random.between(1, 3) * MIB;
  return random.pick([mebibytes, mebibytes + random.between(1, 255) * 4096, mebibytes + random.between(1, 2047) * 512]);
}

type Writer = { readonly side: Side; readonly alignment: PrimaryAlignment };

function randomWrites(random: SeededRandom, sizeBytes: number, writers: readonly [Writer, ...Writer[]]): Write[] {
  const writes: Write[] = [];
  for (let count = random.between(1, MAX_WRITES_IN_FLIGHT); count > 0; count -= 1) {
    const write = randomWrite(random, sizeBytes, random.pick(writers));
    if (!writes.some(other => other.side === write.side && overlaps(other, write))) writes.push(write);
  }
  return writes;
}

function randomWrite(random: SeededRandom, sizeBytes: number, { side, alignment }: Writer): Write {
  const unit = Math.max(alignment, random.pick([1, 1, 512, 4096, 65_536]));
  const units = random.pick([1, random.between(1, 8), random.between(1, Math.ceil(MAX_BYTES / unit))]);
  // Half of the writes go to the first 256 KiB or the last 64 KiB, where they meet earlier ones and the short chunk.
  const near = random.pick([
    0,
    random.below(256 * 1024),
    sizeBytes - random.between(1, 65_536),
    random.below(sizeBytes),
  ]);
  const offset = near - (near % unit);
  const length = Math.min(units * unit, sizeBytes - offset);
  return { side, offset, length, data: random.below(5) === 0 ? null : random.bytes(length) };
}

function overlaps(a: Write, b: Write): boolean {
  return a.offset < b.offset + b.length && b.offset < a.offset + a.length;
}

function describeWrite({ side, offset, length, data }: Write): string {
  return `${side} ${data === null ? 'zeroes' : 'writes'} ${offset} + ${length}`;
}
