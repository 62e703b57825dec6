/** ExportModel: what a fuzzed export is and holds, as the fuzzer knows it. */

import type { SeededRandom } from '../support/seeded-random.ts';

export type ExportModel = {
  readonly name: string;
  readonly description: string;
  readonly sizeBytes: number;
  readonly writable: boolean;
  readonly fastZeroes: boolean;
  readonly alignment: number;
  /** Requests that touch these bytes fail; empty where both are equal. */
  readonly badStart: number;
  readonly badEnd: number;
  readonly content: Buffer;
};

export function randomExport(name: string, random: SeededRandom): ExportModel {
  const alignment = random.pick([1, 1, 1, 512, 4096]);
  const blocks = random.pick([0, 1, 7, 16, 100, 256]);
  const odd = alignment === 1 ? random.pick([0, 0, 1, 511]) : 0;
  const sizeBytes = blocks * Math.max(alignment, 512) + odd;
  const badStart = random.below(3) === 0 ? random.below(sizeBytes + 1) : sizeBytes;
  const content = random.bytes(sizeBytes);
  // Holes, so that there is something to tell of.
  for (let i = random.below(4); i > 0; i--) {
    const start = random.below(sizeBytes + 1);
    content.fill(0, start, Math.min(sizeBytes, start + random.below(8192)));
  }
  return {
    name,
    description: random.pick(['', 'for fuzzing']),
    sizeBytes,
    writable: random.below(8) !== 0,
    fastZeroes: random.below(2) === 0,
    alignment,
    badStart,
    badEnd: Math.min(sizeBytes, badStart + random.below(5000)),
    content,
  };
}
