import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { HeldNode } from '../../test/support/held-node.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { EIO, ETIMEDOUT } from '../base/errno.ts';
import { flushNode } from './flush-node.ts';

test('a flush that does not return holds the node in the name of who wanted it, until it returns', async () => {
  const node = new HeldNode();
  const clock = new ManualClock();
  node.holding = true;
  const flush = flushNode(node, 'blockdev-reopen', 1000, clock);
  clock.advance(1000);
  await assert.rejects(flush, { errno: ETIMEDOUT });
  assert.deepEqual(
    [...node.parents].map(({ holder }) => holder),
    ['requests of blockdev-reopen that have not returned'],
  );
  node.letGo();
  await setImmediate();
  assert.equal(node.parents.size, 0);
});

test('a flush that returns leaves the node, and its failure is told', async () => {
  const node = new HeldNode();
  await flushNode(node, 'shutdown', 1000, new ManualClock());
  assert.deepEqual(node.log, [['flush', 0, 0]]);
  node.errno = EIO;
  await assert.rejects(flushNode(node, 'shutdown', 1000, new ManualClock()), { errno: EIO });
  assert.equal(node.parents.size, 0);
});
