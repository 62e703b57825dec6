import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import { BusyPoll } from './busy-poll.ts';

/** A clock that stands still until it is set, and counts how often it was looked at. */
class WatchedClock implements Pick<Clock, 'nowMs'> {
  atMs = 1000;
  looks = 0;

  nowMs(): number {
    this.looks += 1;
    return this.atMs;
  }
}

/** Ends when the event loop has had `turns` turns. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise<void>(resolve => setImmediate(resolve));
}

test('the loop stays awake after bytes that came soon after others, until the window has passed', async () => {
  const clock = new WatchedClock();
  const poll = new BusyPoll(clock as unknown as Clock);
  poll.arrived();
  clock.atMs += 0.03;
  poll.arrived();
  const before = clock.looks;
  await turns(20);
  assert.ok(clock.looks >= before + 19, `${clock.looks - before} looks in 20 turns`);
  clock.atMs += 1;
  await turns(2);
  const after = clock.looks;
  await turns(20);
  assert.equal(clock.looks, after);
});

test('after a longer pause the loop sleeps at once', async () => {
  const clock = new WatchedClock();
  const poll = new BusyPoll(clock as unknown as Clock);
  for (let arrival = 0; arrival < 5; arrival += 1) {
    clock.atMs += 0.1;
    poll.arrived();
  }
  const before = clock.looks;
  await turns(20);
  assert.equal(clock.looks, before);
});

test('a clock that stands still keeps no process awake', async () => {
  const clock = new WatchedClock();
  const poll = new BusyPoll(clock as unknown as Clock);
  poll.arrived();
  poll.arrived();
  await turns(300);
  const before = clock.looks;
  await turns(20);
  assert.equal(clock.looks, before);
});
