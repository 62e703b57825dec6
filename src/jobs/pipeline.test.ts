import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deferred } from '../base/deadline.ts';
import { Pipeline, type Start } from './pipeline.ts';

test('never more than the depth is under way, and the end comes with the last piece', async () => {
  let left = 10;
  let underWay = 0;
  let most = 0;
  const pipeline: Pipeline = new Pipeline(3, () => {
    if (left === 0) return 'end';
    left -= 1;
    underWay += 1;
    most = Math.max(most, underWay);
    setImmediate(() => {
      underWay -= 1;
      pipeline.done();
    });
    return 'started';
  });
  await pipeline.run();
  assert.deepEqual({ left, underWay, most }, { left: 0, underWay: 0, most: 3 });
});

test('pieces that are done at once leave the event loop its turns', async () => {
  let started = 0;
  let turns = 0;
  const pipeline: Pipeline = new Pipeline(4, () => {
    if (started === 40) return 'end';
    started += 1;
    pipeline.done();
    return 'started';
  });
  const ended = pipeline.run();
  const count = (): void => {
    turns += 1;
    if (started < 40) setImmediate(count);
  };
  setImmediate(count);
  await ended;
  assert.ok(turns >= 10, String(turns));
});

test('what is to come later is waited for until somebody wakes the pipeline', async () => {
  const answers: Start[] = ['later', 'end'];
  const asked = deferred<void>();
  const pipeline = new Pipeline(1, () => {
    asked.resolve();
    return answers.shift() ?? 'end';
  });
  const ended = pipeline.run();
  await asked.promise;
  assert.deepEqual(answers, ['end']);
  pipeline.wake();
  await ended;
});

test('after a failure nothing is started, and what is under way is waited for', async () => {
  const finish: (() => void)[] = [];
  const both = deferred<void>();
  const pipeline: Pipeline = new Pipeline(2, () => {
    finish.push(() => pipeline.done());
    if (finish.length === 2) both.resolve();
    return 'started';
  });
  let hasEnded = false;
  const ended = pipeline.run().catch((error: unknown) => {
    hasEnded = true;
    return error;
  });
  await both.promise;
  pipeline.fail(new Error('first'));
  pipeline.fail(new Error('second'));
  finish[0]?.();
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(hasEnded, false);
  finish[1]?.();
  assert.match(String(await ended), /first/);
  assert.equal(finish.length, 2);
});

test('nothing is started after the end, although a piece that was done at once has woken the pipeline', async () => {
  const answers: Start[] = ['started', 'end', 'started'];
  const pipeline: Pipeline = new Pipeline(2, () => {
    const answer = answers.shift() ?? 'end';
    if (answer === 'started') pipeline.done();
    return answer;
  });
  await pipeline.run();
  await new Promise(resolve => setImmediate(resolve));
  assert.deepEqual(answers, ['started']);
});
