/** A short run of the fuzzer with a new seed each time; `npm run fuzz` is the long one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz, TARGETS } from './fuzz.ts';

const MILLISECONDS = 4000;

for (const target of TARGETS) {
  test(`random sessions find nothing wrong with the ${target}`, async t => {
    const seed = Date.now() % 2 ** 32;
    t.diagnostic(`npm run fuzz -- --target ${target} --seed ${seed}`);
    const [outcome] = await fuzz({ seed, milliseconds: MILLISECONDS, targets: [target] });
    assert.equal(outcome?.failure, null);
    assert.ok((outcome?.rounds ?? 0) > 20, 'rounds were run');
  });
}
