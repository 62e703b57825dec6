import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../base/clock.ts';
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

/** Nobody has the event loop stay awake and look at `clock`. */
async function assertAsleep(clock: WatchedClock): Promise<void> {
  const before = clock.looks;
  await turns(20);
  assert.equal(clock.looks, before);
}

/** A poll whose peer answered soon after the last word, and which waits for the next answer. */
function quickPoll(clock: WatchedClock, look: () => boolean = () => false): BusyPoll {
  const poll = new BusyPoll(clock as unknown as Clock, look);
  poll.expect();
  clock.atMs += 0.03;
  poll.arrived();
  poll.expect();
  return poll;
}

test('where the last answer came soon the loop stays awake for the next, until the window has passed', async () => {
  const clock = new WatchedClock();
  quickPoll(clock);
  const before = clock.looks;
  await turns(20);
  assert.ok(clock.looks >= before + 19, `${clock.looks - before} looks in 20 turns`);
  clock.atMs += 1;
  await turns(2);
  await assertAsleep(clock);
});

test('after an answer that took long the loop sleeps at once', async () => {
  const clock = new WatchedClock();
  const poll = quickPoll(clock);
  clock.atMs += 1;
  await turns(2);
  poll.arrived();
  poll.expect();
  await assertAsleep(clock);
});

test('a clock that stands still keeps no process awake', async () => {
  const clock = new WatchedClock();
  quickPoll(clock);
  await turns(300);
  await assertAsleep(clock);
});

test('while the loop is awake it looks for bytes itself, several times a turn where nobody else is awake', async () => {
  const clock = new WatchedClock();
  let looked = 0;
  quickPoll(clock, () => {
    looked += 1;
    return false;
  });
  await turns(1);
  const alone = looked;
  assert.ok(alone > 1, `${alone} looks in a turn`);
  quickPoll(clock);
  const before = looked;
  await turns(3);
  assert.ok(looked - before <= 3, `${looked - before} looks in 3 turns beside another`);
  clock.atMs += 1;
  await turns(2);
});
