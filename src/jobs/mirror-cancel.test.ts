/** How a mirror ends that is cancelled, and one whose target hangs: in bounded time, with its users where they were. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { LiveCopy } from '../../test/support/live-copy.ts';
import { mirrorOf, untilHeld } from '../../test/support/mirror-of.ts';
import { NbdPeer } from '../../test/support/nbd-peer.ts';
import { deferred } from '../base/deadline.ts';
import { silentLogger } from '../base/logger.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { drivers } from '../drivers/index.ts';
import { SimulatedClock } from '../sim/simulated-clock.ts';
import { Job } from './job.ts';

/** An error of the target alone ends no mirror here: what is tested is that a cancel does. */
const IGNORING = { onTargetError: 'ignore' } as const;

/** Lets the source do what it is asked; the target does not move. */
async function settleSource(copy: LiveCopy): Promise<void> {
  for (let turns = 0; turns < 10; turns++) {
    copy.source.settle();
    await new Promise(resolve => setImmediate(resolve));
  }
}

test('a forced cancel ends a mirror whose target hangs, which is in use until it answers, and the source is not', async () => {
  await using copy = await LiveCopy.create({ seed: 10 });
  const job = copy.start(mirrorOf(copy, IGNORING));
  await copy.until(() => copy.target.waiting.length > 0, { writes: false });
  await settleSource(copy);
  job.cancel({ force: true });
  await settleSource(copy);
  assert.equal(job.status, 'aborting');
  assert.deepEqual([copy.source.hurries, copy.target.hurries], [0, 1], 'only the side that hangs loses its limits');
  copy.clock.advance(5000);
  await settleSource(copy);
  assert.equal(job.status, 'concluded');
  assert.deepEqual([copy.source.hurries, copy.target.hurries], [0, 0]);
  assert.equal(job.info.error, 'Operation canceled');
  assert.deepEqual([...copy.source.parents], [copy.guest.backend.edge]);
  await assert.rejects(
    copy.graph.remove('target'),
    /is in use by requests of job 'j' that have not returned; wait for them; `yank` ends those of an nbd node$/,
  );
  const events = copy.events.length;
  for (let errno = 5; copy.target.waiting.length > 0; errno = 0) copy.target.step(0, errno);
  await settleSource(copy);
  assert.equal(copy.target.parents.size, 0);
  assert.equal(copy.events.length, events);
});

test('before the users are held a flush that hangs is waited for until a deadline or a cancel, and they stay', async () => {
  for (const end of ['cancel', 'deadline'] as const) {
    await using copy = await LiveCopy.create({ seed: 11 });
    const job = copy.start(mirrorOf(copy, IGNORING));
    await copy.until(() => job.status === 'ready', { writes: false });
    job.complete();
    await copy.until(() => job.status === 'pending' && copy.target.waiting[0]?.kind === 'flush', { writes: false });
    assert.ok(!copy.guest.backend.isHeld);
    if (end === 'cancel') job.cancel({ force: true });
    else copy.clock.advance(60_000);
    await settleSource(copy);
    assert.equal(job.status, 'aborting');
    copy.clock.advance(5000);
    await settleSource(copy);
    assert.equal(job.status, 'concluded');
    const error = end === 'cancel' ? /^Operation canceled$/ : /^Connection timed out: the last writes were not on node/;
    assert.match(job.info.error ?? '', error);
    assert.equal(copy.guest.backend.node, copy.source);
    copy.target.settle();
    await settleSource(copy);
    assert.equal(copy.guest.backend.node, copy.source);
  }
});

test('a cancel while the users are held ends that, and they stay', async () => {
  await using copy = await LiveCopy.create({ seed: 12 });
  const job = copy.start(mirrorOf(copy, IGNORING));
  await untilHeld(copy, job);
  job.cancel({ force: true });
  await settleSource(copy);
  assert.ok(!copy.guest.backend.isHeld);
  await copy.until(() => job.status === 'concluded', { writes: false });
  assert.equal(job.info.error, 'Operation canceled');
  assert.equal(copy.guest.backend.node, copy.source);
});

test('a cancel does not wait for a target whose server is gone to come back', { timeout: 20_000 }, async () => {
  // No time passes.
  const clock = new SimulatedClock();
  const lost = deferred<void>();
  await using server = await NbdPeer.nbdkit('memory', '64k');
  const logger = { ...silentLogger, warn: () => lost.resolve() };
  await using graph = new BlockGraph({ drivers, clock, logger });
  const source = await graph.add({ driver: 'memory', 'node-name': 'source', size: 65_536 });
  const address = { type: 'unix', path: server.socket };
  const target = await graph.add({ driver: 'nbd', 'node-name': 'target', server: address, 'reconnect-delay': 60 });
  using guest = new DiskClient(source);
  const work = mirrorOf({ graph, clock, source, target }, IGNORING);
  const isReady = deferred<void>();
  const emit = ({ name }: { readonly name: string }): void => {
    if (name === 'BLOCK_JOB_READY') isReady.resolve();
  };
  const job = new Job({ id: 'j', type: 'mirror', work, clock, autoDismiss: false, emit });
  job.start();
  await isReady.promise;
  await server[Symbol.asyncDispose]();
  await lost.promise;
  assert.equal(await guest.submit('write', 0, 512, { buffer: Buffer.alloc(512, 9) }), 0);
  const isBusy = (): boolean => [...target.parents].some(edge => (edge.backend?.inFlight ?? 0) > 0);
  while (!isBusy()) await new Promise(resolve => setImmediate(resolve));
  job.cancel({ force: true });
  await job.ended;
  assert.equal(job.info.error, 'Operation canceled');
  assert.equal(target.parents.size, 0);
});
