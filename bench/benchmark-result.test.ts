import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, median, summarize } from './benchmark-result.ts';

test('the median of an even number of samples is the mean of the two in the middle', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([8, 1, 4, 2]), 3);
});

test('a ratio compares the medians of one workload, and a target is met or missed by it', () => {
  const rows = summarize([
    { workload: 'write', subject: 'ours', unit: 'IOPS', samples: [30, 20, 25], cpuUs: { primary: [4, 8, 6] } },
    { workload: 'write', subject: 'theirs', unit: 'IOPS', samples: [10, 10, 10] },
    { workload: 'checkpoint', subject: 'ours', unit: 'ms', samples: [4] },
  ]);
  assert.equal(rows[0]?.ratio.theirs, 2.5);
  assert.equal(rows[0]?.spread, 0.4);
  assert.deepEqual(rows[0]?.cpuUsPerRequest, { primary: 6 });
  assert.deepEqual(rows[2]?.ratio, {});
  const targets = judge(rows, [
    { subject: 'ours', workload: 'write', peer: 'theirs', relation: 'at least', want: 3 },
    { subject: 'ours', workload: 'checkpoint', peer: null, relation: 'at most', want: 5 },
  ]);
  assert.deepEqual(
    targets.map(target => [target.got, target.met]),
    [
      [2.5, false],
      [4, true],
    ],
  );
  assert.throws(() => judge(rows, [{ subject: 'ours', workload: 'read', peer: null, relation: 'at most', want: 5 }]));
});

test('a promise to be as fast as a peer allows for noise, any other does not', () => {
  const rows = summarize([
    { workload: 'read', subject: 'ours', unit: 'MiB/s', samples: [96] },
    { workload: 'read', subject: 'theirs', unit: 'MiB/s', samples: [100] },
  ]);
  const promised = { subject: 'ours', workload: 'read', peer: 'theirs', relation: 'at least' } as const;
  const met = [0.96, 0.97, 1, 1.2].map(want => judge(rows, [{ ...promised, want }])[0]?.met);
  assert.deepEqual(met, [true, false, true, false]);
});

test('a median of zero has no spread, and one below zero a positive one', () => {
  const [zero, negative] = summarize([
    { workload: 'a', subject: 'ours', unit: 'ms', samples: [0, 0, 3] },
    { workload: 'b', subject: 'ours', unit: 'ms', samples: [-1, -2, -3] },
  ]);
  assert.equal(zero?.spread, 0);
  assert.equal(negative?.spread, 1);
});
