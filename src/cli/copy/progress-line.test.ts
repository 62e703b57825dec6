import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CopyProgress, formatSeconds } from './progress-line.ts';

const MIB = 1024 * 1024;

test('the line tells bytes, the rate of the last seconds and how long it will take', () => {
  let nowMs = 0;
  const progress = new CopyProgress(() => nowMs);
  assert.equal(progress.line(), '');
  progress.update('copy', 0, 100 * MIB);
  assert.match(progress.line(), /^copy {3}░{24} {3}0 % {2}0 B of 100 MiB$/);
  nowMs = 1000;
  progress.update('copy', 50 * MIB, 100 * MIB);
  assert.match(progress.line(), /^copy {3}█{12}░{12} {2}50 % {2}50 MiB of 100 MiB {2}50 MiB\/s {2}1 s left$/);
  // A standstill is seen once the window has passed it.
  for (nowMs = 2000; nowMs <= 8000; nowMs += 1000) progress.line();
  assert.match(progress.line(), /50 MiB of 100 MiB {2}0 B\/s$/);
  progress.update('verify', 100 * MIB, 100 * MIB);
  assert.match(progress.line(), /^verify █{24} 100 %/);
});

test('times are told in the units that suit them', () => {
  for (const [seconds, told] of [
    [0.2, '1 s'],
    [59, '59 s'],
    [60, '1:00 min'],
    [185, '3:05 min'],
    [7380, '2:03 h'],
  ] as const) {
    assert.equal(formatSeconds(seconds), told);
  }
});
