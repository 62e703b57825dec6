import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EIO, ENOSPC } from '../../base/errno.ts';
import { mostFrequentErrno, voteOnVersions } from './vote.ts';

test('the most frequent errno wins, and of equally frequent ones the last to appear', () => {
  for (const [errnos, expected] of [
    [[0, 0, 0], 0],
    [[0, EIO, 0], EIO],
    [[EIO, ENOSPC, ENOSPC], ENOSPC],
    [[ENOSPC, EIO, ENOSPC], ENOSPC],
    [[EIO, ENOSPC, 0], ENOSPC],
    [[ENOSPC, EIO, 0], EIO],
    [[EIO, ENOSPC, EIO, ENOSPC], ENOSPC],
  ] as const) {
    assert.equal(mostFrequentErrno(errnos), expected, errnos.join());
  }
});

/** One letter a copy; `-` is one that could not be read. */
function vote(copies: string): object {
  return voteOnVersions([...copies].map(letter => (letter === '-' ? null : Buffer.from(letter))));
}

test('the version that most copies have wins, and the others are told of', () => {
  for (const [copies, winner, votes, losers] of [
    ['aaa', 0, 3, []],
    ['aba', 0, 2, [1]],
    ['baa', 1, 2, [0]],
    ['-ab-bb', 2, 3, [1]],
    ['abcb', 1, 2, [2, 0]],
    ['ab', 1, 1, [0]],
    ['aabb', 2, 2, [1, 0]],
    ['abba', 1, 2, [3, 0]],
    ['abc', 2, 1, [1, 0]],
  ] as const) {
    assert.deepEqual(vote(copies), { winner, votes, losers }, copies);
  }
});
