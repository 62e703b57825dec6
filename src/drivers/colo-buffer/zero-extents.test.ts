import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ZeroExtents } from './zero-extents.ts';

const CHUNKS = 40;
const range = fc.tuple(fc.nat(CHUNKS), fc.nat(CHUNKS)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const step = fc.tuple(fc.constantFrom('original' as const, 'own' as const, 'remove' as const), range);

test('zero extents answer as an array with a mark for each chunk does', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const extents = new ZeroExtents();
      const model: ('original' | 'own' | undefined)[] = Array.from({ length: CHUNKS });
      for (const [what, [start, end]] of steps) {
        if (what === 'remove') extents.remove(start, end);
        else extents.put(start, end, what === 'own');
        model.fill(what === 'remove' ? undefined : what, start, end);
      }
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const extent = extents.find(chunk);
        assert.equal(extent === undefined ? undefined : extent.own ? 'own' : 'original', model[chunk]);
      }
      assert.equal(extents.ownChunks, model.filter(mark => mark === 'own').length);
      assert.equal(extents.originalChunks, model.filter(mark => mark === 'original').length);
    }),
  );
});

test('neighbouring extents of one kind are one extent', () => {
  const extents = new ZeroExtents();
  for (let chunk = 0; chunk < 1000; chunk++) extents.put(chunk, chunk + 1, false);
  assert.deepEqual(extents.values(), [{ start: 0, end: 1000, own: false }]);
});
