import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkStore } from './chunk-store.ts';
import { memoryEntry, NO_ENTRY } from './entry.ts';
import { Generation } from './generation.ts';

const CHUNKS = 40;
const range = fc.tuple(fc.nat(CHUNKS), fc.nat(CHUNKS)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const step = fc.tuple(fc.constantFrom('data' as const, 'zeroes' as const, 'own zeroes' as const), range);

test('gaps are the chunks without an entry, whatever is between them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), range, (steps, [start, end]) => {
      const generation = new Generation(new ChunkStore(4096), null);
      const model = new Set<number>();
      for (const [what, [from, to]] of steps) {
        if (what === 'data') {
          if (from < CHUNKS) generation.put(from, memoryEntry(generation.memory.take(1), false));
          if (from < CHUNKS) model.add(from);
        } else {
          generation.putZeroes(from, to, what === 'own zeroes');
          for (let chunk = from; chunk < to; chunk++) model.add(chunk);
        }
      }
      for (let chunk = 0; chunk < CHUNKS; chunk++) assert.equal(generation.find(chunk) !== NO_ENTRY, model.has(chunk));
      assert.equal(generation.chunks, model.size);
      let gap = start;
      while (gap < end && model.has(gap)) gap += 1;
      assert.equal(generation.firstGap(start, end), gap);
      let gapEnd = gap;
      while (gapEnd < end && !model.has(gapEnd)) gapEnd += 1;
      assert.equal(generation.gapEnd(gap, end), gapEnd);
    }),
  );
});

test('originals of zeroes replace no entry, and own ones replace all', () => {
  const generation = new Generation(new ChunkStore(4096), null);
  const entry = memoryEntry(generation.memory.take(1), false);
  generation.put(5, entry);
  generation.putZeroes(0, 10, false);
  assert.equal(generation.find(5), entry);
  generation.putZeroes(0, 10, true);
  assert.notEqual(generation.find(5), entry);
  assert.equal(generation.memory.used, 0);
  assert.equal(generation.ownChunks, 10);
});
