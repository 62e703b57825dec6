import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SimulatedClock } from '../sim/simulated-clock.ts';
import { RateLimit } from './rate-limit.ts';

test('bytes pass at the given rate, whatever the size of the pieces', () => {
  const clock = new SimulatedClock();
  const limit = new RateLimit(clock, 1000);
  let passed = 0;
  for (const bytes of [1, 500, 20, 1000, 479]) {
    clock.advance(limit.delayMs);
    assert.equal(limit.delayMs, 0);
    limit.pass(bytes);
    passed += bytes;
  }
  clock.advance(limit.delayMs);
  assert.equal(clock.nowMs(), passed);
});

test('time in which nothing passed is not made up for', () => {
  const clock = new SimulatedClock();
  const limit = new RateLimit(clock, 1000);
  clock.advance(10_000);
  limit.pass(100);
  assert.equal(limit.delayMs, 100);
});

test('a new speed holds for what is still owed, and 0 sets free', () => {
  const clock = new SimulatedClock();
  const limit = new RateLimit(clock, 1000);
  limit.pass(1000);
  limit.bytesPerSecond = 4000;
  assert.equal(limit.delayMs, 250);
  limit.bytesPerSecond = 0;
  assert.equal(limit.delayMs, 0);
  limit.pass(1e9);
  limit.bytesPerSecond = 1;
  assert.equal(limit.delayMs, 0);
});
