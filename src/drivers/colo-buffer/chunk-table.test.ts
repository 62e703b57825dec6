import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChunkTable } from './chunk-table.ts';
import { NO_ENTRY } from './entry.ts';

/** Chunks close together, so that keys collide, and some beyond 32 bits. */
const chunk = fc.oneof(
  fc.nat(200),
  fc.nat(200).map(n => 2 ** 40 + n * 16),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('set' as const), chunk, fc.nat(1000)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('delete' as const), chunk, fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('clear' as const), chunk, fc.constant(0)) },
);

test('a chunk table answers as a Map does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), steps => {
      const table = new ChunkTable();
      const model = new Map<number, number>();
      for (const [what, key, value] of steps) {
        if (what === 'set') {
          table.set(key, value);
          model.set(key, value);
        } else if (what === 'delete') {
          table.delete(key);
          model.delete(key);
        } else {
          table.clear();
          model.clear();
        }
        assert.equal(table.get(key), model.get(key) ?? NO_ENTRY);
      }
      const found = new Map<number, number>();
      table.forEach((key, value) => {
        found.set(key, value);
      });
      assert.deepEqual([...found].sort(byKey), [...model].sort(byKey));
      assert.equal(table.count, model.size);
    }),
  );
});

test('a chunk table holds a million chunks in any order', () => {
  const table = new ChunkTable();
  for (let i = 0; i < 1_000_000; i++) table.set((i * 7919) % 1_000_003, i);
  assert.equal(table.count, 1_000_000);
  for (let i = 0; i < 1_000_000; i += 997) assert.equal(table.get((i * 7919) % 1_000_003), i);
});

function byKey(a: readonly [number, number], b: readonly [number, number]): number {
  return a[0] - b[0];
}
