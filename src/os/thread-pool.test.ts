import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_THREADS_PER_SHARE, PoolShare, ThreadPool } from './thread-pool.ts';

/** Adds `count` pieces of work to `share`, which note that they have started. */
function load(share: PoolShare, name: string, count: number, started: string[]): void {
  for (let i = 0; i < count; i++) share.enter({ startInPool: () => void started.push(`${name}${i}`) });
}

test('a share gets as many as help it, and while threads are scarce half of those that are free', () => {
  const pool = new ThreadPool(20);
  const shares = [1, 2, 3, 4].map(() => new PoolShare(pool));
  for (const share of shares) load(share, 'w', 100, []);
  assert.deepEqual(
    shares.map(share => share.running),
    [MAX_THREADS_PER_SHARE, 6, 3, 2],
  );
});

test('a share without a thread gets one, whatever the others do', () => {
  const pool = new ThreadPool(4);
  const shares = Array.from({ length: 10 }, () => new PoolShare(pool));
  for (const share of shares) load(share, 'w', 100, []);
  assert.ok(shares.every(share => share.running > 0));
});

test('work of a share starts in order, as threads come free', () => {
  const share = new PoolShare(new ThreadPool(4));
  const started: string[] = [];
  load(share, 'w', 4, started);
  assert.deepEqual(started, ['w0', 'w1']);
  share.leave();
  assert.deepEqual(started, ['w0', 'w1', 'w2']);
  share.leave();
  share.leave();
  assert.deepEqual(started, ['w0', 'w1', 'w2', 'w3']);
});

test('a thread that comes free goes to whom has fewest', () => {
  const pool = new ThreadPool(4);
  const [slow, other] = [new PoolShare(pool), new PoolShare(pool)] as const;
  const started: string[] = [];
  load(slow, 'slow', 10, started);
  load(other, 'other', 10, started);
  assert.deepEqual(started, ['slow0', 'slow1', 'other0']);
  slow.leave();
  assert.deepEqual(started.slice(3), ['slow2']);
  other.leave();
  assert.deepEqual(started.slice(4), ['other1']);
});

test('with a single thread everybody gets it in turn', () => {
  const pool = new ThreadPool(1);
  const [a, b] = [new PoolShare(pool), new PoolShare(pool)] as const;
  const started: string[] = [];
  load(a, 'a', 2, started);
  load(b, 'b', 1, started);
  assert.deepEqual(started, ['a0', 'b0']);
});
