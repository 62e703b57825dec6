import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { LiveCopy } from '../../test/support/live-copy.ts';
import { mirrorOf, untilHeld } from '../../test/support/mirror-of.ts';
import { systemClock } from '../base/clock.ts';
import { UsageError } from '../base/errors.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { drivers } from '../drivers/index.ts';
import type { SyncMode } from './initial-ranges.ts';
import { Job } from './job.ts';
import type { CopyMode } from './mirror-work.ts';

for (const copyMode of ['background', 'write-blocking'] as const) {
  for (const end of ['complete', 'cancel'] as const) {
    test(`a mirror (${copyMode}) has every acknowledged write when it ends by ${end}, in any interleaving`, async () => {
      for (let seed = 1; seed <= 5; seed++) {
        await using copy = await LiveCopy.create({ seed });
        const job = copy.start(mirrorOf(copy, { copyMode, granularityBytes: copy.random.pick([512, 4096, 65_536]) }));
        await copy.until(() => job.status === 'ready');
        for (let turns = copy.random.below(200); turns > 0; turns--) await copy.turn();
        if (end === 'complete') job.complete();
        else job.cancel({ force: false });
        await copy.until(() => job.status === 'concluded');
        assert.equal(job.info.error, undefined, `seed ${seed}`);
        assert.equal(copy.guest.backend.node, end === 'complete' ? copy.target : copy.source);
        if (end === 'complete') {
          await copy.until(() => copy.isQuiet, { writes: false });
          assert.ok(copy.target.bytes.equals(copy.model), `seed ${seed}`);
        } else {
          await copy.until(() => copy.isQuiet, { writes: false });
          assert.ok(copy.source.bytes.equals(copy.model), `seed ${seed}`);
        }
        assert.equal(copy.failedWrites, 0);
      }
    });
  }
}

test('a mirror that is cancelled when it is ready leaves the source as it was while nothing was in flight', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    await using copy = await LiveCopy.create({ seed });
    const job = copy.start(mirrorOf(copy));
    await copy.until(() => job.status === 'ready');
    for (let turns = 0; turns < 50; turns++) await copy.turn();
    await copy.until(() => copy.isQuiet, { writes: false });
    job.cancel({ force: false });
    await copy.until(() => job.status === 'concluded', { writes: false });
    assert.ok(copy.target.bytes.equals(copy.model), `seed ${seed}`);
  }
});

test('failures that are ignored are made up for, and no write fails for them', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    await using copy = await LiveCopy.create({ seed, failsOneIn: 12 });
    const copyMode = copy.random.pick<CopyMode>(['background', 'write-blocking']);
    const job = copy.start(mirrorOf(copy, { copyMode, onSourceError: 'ignore', onTargetError: 'ignore' }));
    await copy.until(() => job.status === 'ready');
    for (let turns = 0; turns < 50; turns++) await copy.turn();
    assert.ok(copy.events.some(event => event.name === 'BLOCK_JOB_ERROR'));
    job.complete();
    await copy.until(() => job.status === 'concluded');
    await copy.until(() => copy.isQuiet, { writes: false });
    // The last copies are made while the guest is held: a failure then ends the job, and the source stays in use.
    const image = job.info.error === undefined ? copy.target : copy.source;
    assert.equal(copy.guest.backend.node, image);
    assert.ok(image.bytes.equals(copy.model), `seed ${seed}`);
    assert.equal(copy.failedWrites, 0);
  }
});

test('a failure that is reported ends the job, and the guest goes on with the source', async () => {
  for (const copyMode of ['background', 'write-blocking'] as const) {
    await using copy = await LiveCopy.create({ seed: 3, failsOneIn: 5 });
    const job = copy.start(mirrorOf(copy, { copyMode }));
    await copy.until(() => job.status === 'concluded');
    assert.match(job.info.error ?? '', /^Input\/output error: Cannot (read|write) bytes .* on node '(source|target)'$/);
    await copy.until(() => copy.isQuiet, { writes: false });
    assert.equal(copy.failedWrites, 0);
    assert.ok(copy.source.bytes.equals(copy.model));
    assert.equal(copy.target.parents.size, 0);
    assert.equal(copy.source.interceptor, null);
  }
});

test('a mirror that stops on an error is paused until it is resumed, and writes go on', async () => {
  await using copy = await LiveCopy.create({ seed: 4, failsOneIn: 6 });
  const job = copy.start(mirrorOf(copy, { copyMode: 'write-blocking', onSourceError: 'stop', onTargetError: 'stop' }));
  let stops = 0;
  await copy.until(() => {
    if (job.status !== 'paused') return job.status === 'ready';
    stops += 1;
    assert.equal(job.info.ioStatus, 'failed');
    job.resume();
    return false;
  });
  assert.ok(stops > 0);
  assert.equal(copy.failedWrites, 0);
});

test('only what changes from the start on is copied without a sync', async () => {
  await using copy = await LiveCopy.create({ seed: 5 });
  const sync: SyncMode = 'none';
  const job = copy.start(mirrorOf(copy, { sync, granularityBytes: 512 }));
  await copy.until(() => job.status === 'ready', { writes: false });
  assert.equal(job.info.totalProgress, 0);
  copy.write(1024, Buffer.alloc(512, 7));
  await copy.until(() => copy.isQuiet && copy.target.bytes[1535] === 7, { writes: false });
  job.cancel({ force: true });
  await copy.until(() => job.status === 'concluded', { writes: false });
  const expected = Buffer.alloc(copy.target.bytes.length, 0xee).fill(7, 1024, 1536);
  assert.ok(copy.target.bytes.equals(expected));
});

test('users that may not go over to the target stay, and the job says why', async () => {
  await using copy = await LiveCopy.create({ seed: 6 });
  const checkReplacement = (): void => {
    throw new UsageError('Node replicates');
  };
  const job = copy.start(mirrorOf(copy, { checkReplacement }));
  await copy.until(() => job.status === 'ready');
  job.complete();
  await copy.until(() => job.status === 'concluded');
  assert.equal(job.info.error, 'Node replicates');
  assert.equal(copy.guest.backend.node, copy.source);
  await copy.until(() => copy.isQuiet, { writes: false });
  assert.ok(copy.source.bytes.equals(copy.model));
});

test('a write that waits for a target which hangs goes on in time', async () => {
  await using copy = await LiveCopy.create({ seed: 7 });
  const job = copy.start(mirrorOf(copy, { copyMode: 'write-blocking', onTargetError: 'ignore' }));
  await copy.until(() => job.status === 'ready', { writes: false });
  copy.write(0, Buffer.alloc(512, 9));
  // Only the source moves.
  for (let turns = 0; turns < 20; turns++) {
    copy.source.settle();
    await new Promise(resolve => setImmediate(resolve));
  }
  assert.ok(!copy.isQuiet);
  for (let seconds = 0; seconds < 7; seconds++) copy.clock.advance(1000);
  await new Promise(resolve => setImmediate(resolve));
  assert.ok(copy.isQuiet);
  assert.equal(copy.failedWrites, 0);
  job.complete();
  await copy.until(() => job.status === 'concluded');
  await copy.until(() => copy.isQuiet, { writes: false });
  assert.equal(job.info.error, undefined);
  assert.ok(copy.target.bytes.equals(copy.model));
});

test('a drain of the source comes to its end while writes wait for their copies, and nothing is lost by it', async () => {
  for (let seed = 1; seed <= 4; seed++) {
    await using copy = await LiveCopy.create({ seed });
    const copyMode = seed % 2 === 0 ? 'background' : 'write-blocking';
    const job = copy.start(mirrorOf(copy, { copyMode }));
    for (let drains = 0; drains < 10; drains++) {
      for (let turns = 0; turns < 5; turns++) await copy.turn();
      await copy.drain(copy.random.pick([copy.source, copy.target]));
    }
    await copy.until(() => job.status === 'ready');
    job.complete();
    await copy.until(() => job.status === 'concluded' && copy.isQuiet, { writes: false });
    assert.equal(job.info.error, undefined);
    assert.ok(copy.target.bytes.equals(copy.model), `seed ${seed}`);
  }
});

test('the users go over only once the target has been flushed while they were held, and stay where that fails', async () => {
  await using graph = new BlockGraph({ drivers });
  const source = await graph.add({ driver: 'memory', 'node-name': 'source', size: 65_536 });
  const target = await graph.add({
    driver: 'blkdebug',
    'node-name': 'target',
    image: { driver: 'memory', size: 65_536 },
    'inject-error': [
      { event: 'flush_to_disk', errno: 0, once: true, immediately: true },
      { event: 'flush_to_disk', errno: 5, immediately: true },
    ],
  });
  using guest = new DiskClient(source);
  const work = mirrorOf({ graph, clock: systemClock, source, target });
  const job = new Job({ id: 'j', type: 'mirror', work, clock: systemClock, autoDismiss: false, finishAtEnd: true });
  job.start();
  await job.finish();
  assert.equal(job.info.error, "Input/output error: Flushing job 'j' failed: EIO on node 'target'");
  assert.equal(guest.backend.node, source);
});

test('users are held no longer than a deadline for a target that hangs, and stay with the source', async () => {
  await using copy = await LiveCopy.create({ seed: 8 });
  const job = copy.start(mirrorOf(copy));
  await untilHeld(copy, job);
  copy.write(0, Buffer.alloc(512, 9));
  for (let seconds = 0; seconds < 10; seconds++) {
    assert.ok(copy.guest.backend.isHeld, `after ${seconds} s`);
    copy.clock.advance(1000);
    await new Promise(resolve => setImmediate(resolve));
  }
  assert.ok(!copy.guest.backend.isHeld);
  await copy.until(() => job.status === 'concluded' && copy.isQuiet, { writes: false });
  assert.match(job.info.error ?? '', /^Connection timed out: the last writes were not on node 'target'/);
  assert.equal(copy.guest.backend.node, copy.source);
  assert.ok(copy.source.bytes.equals(copy.model));
});

test('what a user writes who comes while the others are held is on the target as well', async () => {
  await using copy = await LiveCopy.create({ seed: 9 });
  copy.guest.backend.edge.setPermissions({ write: true, shareWrite: true });
  const job = copy.start(mirrorOf(copy));
  await untilHeld(copy, job);
  using late = new DiskClient(copy.source, { write: true, shareWrite: true }, 'late');
  const data = Buffer.alloc(512, 9);
  const write = late.submit('write', 1024, data.length, { buffer: data });
  await copy.until(() => job.status === 'concluded', { writes: false });
  assert.equal(await write, 0);
  assert.equal(job.info.error, undefined);
  assert.equal(late.backend.node, copy.target);
  data.copy(copy.model, 1024);
  assert.ok(copy.target.bytes.equals(copy.model));
});

test('of two mirrors of one node that begin at once the second is refused, and the first goes on', async () => {
  await using graph = new BlockGraph({ drivers });
  const [source, ...targets] = await Promise.all(
    ['source', 'one', 'two'].map(name => graph.add({ driver: 'memory', 'node-name': name, size: 65_536 })),
  );
  assert.ok(source !== undefined);
  const [first, second] = targets.map((target, i) => {
    const work = mirrorOf({ graph, clock: systemClock, source, target });
    const job = new Job({ id: `j${i}`, type: 'mirror', work, clock: systemClock, autoDismiss: false });
    job.start();
    return job;
  });
  await assert.rejects(second?.prepared ?? assert.fail(), UsageError);
  await first?.prepared;
  assert.notEqual(source.interceptor, null);
  await first?.finish();
  assert.equal(first?.info.error, undefined);
});
