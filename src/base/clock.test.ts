import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a delay that is longer than a timer can be is not over at once', async () => {
  let calls = 0;
  const timer = systemClock.after(2 ** 32, () => {
    calls += 1;
  });
  await new Promise(resolve => setTimeout(resolve, 20));
  assert.equal(calls, 0);
  timer.cancel();
});
