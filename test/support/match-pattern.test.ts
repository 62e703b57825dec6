import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mismatch } from './match-pattern.ts';

const CASES: readonly (readonly [pattern: unknown, value: unknown, matches: boolean])[] = [
  [{ a: 1 }, { a: 1 }, true],
  [{ a: 1 }, { a: 2 }, false],
  [{ a: 1 }, { a: '1' }, false],
  [{ a: 1 }, { a: 1, b: 2 }, false],
  [{ a: 1, '...': '...' }, { a: 1, b: 2 }, true],
  [{ a: 1, '...': '...' }, { b: 2 }, false],
  [{ a: '...' }, { a: null }, true],
  [{ a: '...' }, {}, false],
  [{ a: 'in use...' }, { a: 'in use by b' }, true],
  [{ a: 'in use...' }, { a: 'not in use' }, false],
  [{ a: 'in use' }, { a: 'in use by b' }, false],
  [[1, 2], [1, 2], true],
  [[1, 2], [2, 1], false],
  [[1, 2], [1, 2, 3], false],
  [[1, '...'], [1, 2, 3], true],
  [[1, '...'], [], false],
  [[], {}, false],
  [null, {}, false],
  [{}, null, false],
  [{}, [], false],
];

describe('a pattern', () => {
  for (const [pattern, value, matches] of CASES) {
    it(`${JSON.stringify(pattern)} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(value)}`, () => {
      assert.equal(mismatch(pattern, value) === null, matches);
    });
  }
});
