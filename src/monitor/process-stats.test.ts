import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ProcessStats } from './process-stats.ts';

const STALL_MS = 40;

/** Keeps the event loop to itself. */
function stall(): void {
  const endMs = performance.now() + STALL_MS;
  while (performance.now() < endMs);
}

/** Stalls the loop until `stats` have seen it; the timer behind them starts at an unknown moment. */
async function stallUntilSeen(stats: ProcessStats): Promise<void> {
  while (stats.eventLoopDelayUs().max < (STALL_MS / 2) * 1000) {
    stall();
    await setImmediate();
  }
}

test('the first answer is zeroes and begins to measure, and a stall of the loop is seen until a reset', async () => {
  using stats = new ProcessStats();
  assert.deepEqual(stats.eventLoopDelayUs(), { p50: 0, p99: 0, p999: 0, max: 0 });
  await stallUntilSeen(stats);
  const { p50, p99, p999, max } = stats.eventLoopDelayUs();
  assert.ok(p50 <= p99 && p99 <= p999 && p999 <= max, JSON.stringify({ p50, p99, p999, max }));
  stats.reset();
  assert.deepEqual(stats.eventLoopDelayUs(), { p50: 0, p99: 0, p999: 0, max: 0 });
  await stallUntilSeen(stats);
});

test('a reset before the first question is nothing', () => {
  using stats = new ProcessStats();
  stats.reset();
  assert.equal(stats.eventLoopDelayUs().max, 0);
});
