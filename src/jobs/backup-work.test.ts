import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LiveCopy } from '../../test/support/live-copy.ts';
import { type BackupOptions, BackupWork } from './backup-work.ts';

function backupOf(copy: LiveCopy, options: Partial<BackupOptions> = {}): BackupWork {
  const { clock, source, target } = copy;
  return new BackupWork({
    clock,
    holder: "job 'j'",
    source,
    target,
    sync: 'full',
    onSourceError: 'report',
    onTargetError: 'report',
    ...options,
  });
}

test('a backup is the disk as it was at the start, whatever is written meanwhile', async () => {
  for (let seed = 1; seed <= 8; seed++) {
    await using copy = await LiveCopy.create({ seed });
    const job = copy.start(backupOf(copy));
    await copy.until(() => job.status === 'concluded');
    assert.equal(job.info.error, undefined);
    assert.ok(copy.target.bytes.equals(copy.before), `seed ${seed}`);
    await copy.until(() => copy.isQuiet, { writes: false });
    assert.ok(copy.source.bytes.equals(copy.model));
    assert.equal(copy.failedWrites, 0);
  }
});

test('writes in flight at the start are in it, and none that comes later', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    await using copy = await LiveCopy.create({ seed });
    copy.write(0, Buffer.alloc(4096, 1));
    const job = copy.start(backupOf(copy));
    assert.equal(job.status, 'paused');
    copy.write(8192, Buffer.alloc(4096, 2));
    await copy.until(() => job.status === 'concluded' && copy.isQuiet, { writes: false });
    const expected = Buffer.from(copy.before).fill(1, 0, 4096);
    assert.ok(copy.target.bytes.equals(expected), `seed ${seed}`);
    assert.equal(copy.source.bytes[8192], 2);
  }
});

test('a backup that fails never fails a write, and one that does not is right', async () => {
  let failed = 0;
  for (let seed = 1; seed <= 14; seed++) {
    await using copy = await LiveCopy.create({ seed, failsOneIn: 25 });
    const job = copy.start(backupOf(copy, { onSourceError: 'ignore', onTargetError: 'ignore' }));
    await copy.until(() => job.status === 'concluded');
    if (job.info.error === undefined) assert.ok(copy.target.bytes.equals(copy.before), `seed ${seed}`);
    else failed += 1;
    await copy.until(() => copy.isQuiet, { writes: false });
    assert.ok(copy.source.bytes.equals(copy.model));
    assert.equal(copy.failedWrites, 0);
  }
  // What a write waits for cannot be ignored; what nobody waits for can.
  assert.ok(failed > 0 && failed < 30, String(failed));
});

test('without a sync only what is overwritten is copied, until the job is cancelled', async () => {
  await using copy = await LiveCopy.create({ seed: 3 });
  const job = copy.start(backupOf(copy, { sync: 'none' }));
  await copy.until(() => job.status === 'running', { writes: false });
  copy.write(300_000, Buffer.alloc(10, 7));
  await copy.until(() => copy.isQuiet, { writes: false });
  job.cancel({ force: false });
  await copy.until(() => job.status === 'concluded', { writes: false });
  assert.equal(copy.events.at(-2)?.name, 'BLOCK_JOB_CANCELLED');
  const cluster = 4 * 65_536;
  const expected = Buffer.alloc(copy.target.bytes.length, 0xee);
  copy.before.copy(expected, cluster, cluster, cluster + 65_536);
  assert.ok(copy.target.bytes.equals(expected));
});

test('a paused backup copies nothing but what a write is about to overwrite', async () => {
  await using copy = await LiveCopy.create({ seed: 4 });
  const job = copy.start(backupOf(copy));
  job.pause();
  await copy.until(() => job.info.isPaused && job.status === 'paused' && copy.source.waiting.length === 0);
  for (let turns = 0; turns < 200; turns++) await copy.turn();
  const copied = job.info.currentProgress;
  await copy.until(() => copy.isQuiet, { writes: false });
  for (let turns = 0; turns < 50; turns++) await copy.turn({ writes: false });
  assert.ok(job.info.currentProgress >= copied);
  assert.equal(job.status, 'paused');
  job.resume();
  await copy.until(() => job.status === 'concluded');
  assert.ok(copy.target.bytes.equals(copy.before));
});

test('a write that waits for a target which hangs goes on in time, and the backup is given up', async () => {
  await using copy = await LiveCopy.create({ seed: 5 });
  const job = copy.start(backupOf(copy, { sync: 'none' }));
  await copy.until(() => job.status === 'running', { writes: false });
  copy.write(0, Buffer.alloc(512, 9));
  copy.source.settle();
  assert.ok(copy.source.bytes.equals(copy.before));
  for (let seconds = 0; seconds < 7; seconds++) copy.clock.advance(1000);
  copy.source.settle();
  await new Promise(resolve => setImmediate(resolve));
  assert.ok(copy.isQuiet);
  assert.equal(copy.failedWrites, 0);
  await copy.until(() => job.status === 'concluded', { writes: false });
  assert.match(job.info.error ?? '', /^Connection timed out: a write waited too long for node 'target'$/);
});

test('a backup that is given up while it is paused says so at once', async () => {
  await using copy = await LiveCopy.create({ seed: 7 });
  const job = copy.start(backupOf(copy, { sync: 'none' }));
  await copy.until(() => job.status === 'running', { writes: false });
  job.pause();
  copy.write(0, Buffer.alloc(512, 9));
  copy.source.settle();
  for (let seconds = 0; seconds < 7; seconds++) copy.clock.advance(1000);
  await copy.until(() => job.status === 'concluded' && copy.isQuiet, { writes: false });
  assert.match(job.info.error ?? '', /^Connection timed out/);
  assert.equal(copy.failedWrites, 0);
});

test('a forced cancel ends a backup whose target hangs, and the guest goes on', async () => {
  await using copy = await LiveCopy.create({ seed: 8 });
  const job = copy.start(backupOf(copy));
  await copy.until(() => copy.target.waiting.length > 0, { writes: false });
  copy.write(0, Buffer.alloc(512, 9));
  job.cancel({ force: true });
  copy.source.settle();
  await new Promise(resolve => setImmediate(resolve));
  copy.source.settle();
  copy.clock.advance(5000);
  await new Promise(resolve => setImmediate(resolve));
  assert.equal(job.status, 'concluded');
  assert.ok(copy.isQuiet);
  assert.equal(copy.failedWrites, 0);
  assert.deepEqual([...copy.source.parents], [copy.guest.backend.edge]);
  assert.equal(copy.target.parents.size, 1);
});

test('a drain of the source comes to its end while writes wait for what they overwrite', async () => {
  await using copy = await LiveCopy.create({ seed: 6 });
  const job = copy.start(backupOf(copy));
  for (let drains = 0; drains < 10; drains++) {
    for (let turns = 0; turns < 4; turns++) await copy.turn();
    await copy.drain(copy.random.pick([copy.source, copy.target]));
  }
  await copy.until(() => job.status === 'concluded');
  assert.ok(copy.target.bytes.equals(copy.before));
});
