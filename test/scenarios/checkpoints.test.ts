/** Checkpoints of two daemons from outside: several disks at once, and every step that can be refused or come late. */

import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { test } from 'node:test';
import { QmpError } from '../../src/monitor/protocol/qmp-error.ts';
import { NbdClient } from '../../src/nbd/client/index.ts';
import { ColobusPair } from '../support/colobus-pair.ts';
import { DISK_BYTES, LOAD_BLOCKS, LoadedPair, REQUEST_TIMEOUT_MS } from '../support/loaded-pair.ts';
import { assertImageHolds, BLOCK_BYTES, sequencesIn, stamped } from '../support/stamped-image.ts';
import { TemporaryFolder } from '../support/temporary-folder.ts';

const MIB = 1024 * 1024;

const HUGE_BYTES = Number.MAX_SAFE_INTEGER;

/** A pair on disks without guests, in memory. */
async function withPair(disks: number, use: (pair: ColobusPair) => Promise<void>): Promise<void> {
  await using folder = await TemporaryFolder.create('memory');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: MIB, disks });
  await use(pair);
}

/** Every kind of request at the last bytes of the disk, on both sides of a checkpoint. */
async function exerciseEnd(pair: ColobusPair, sizeBytes: number): Promise<void> {
  await using guest = await NbdClient.connect(pair.disks[0].rootUri);
  await using view = await NbdClient.connect(pair.disks[0].viewUri);
  assert.equal(guest.sizeBytes, sizeBytes);
  assert.equal(view.sizeBytes, sizeBytes);
  await guest.write(sizeBytes - 6000, Buffer.alloc(6000, 0x61));
  await guest.trim(sizeBytes - 5000, 1000);
  await guest.writeZeroes(sizeBytes - 4000, 4000);
  await guest.trim(sizeBytes - 2 ** 31, 2 ** 31 - 6000);
  await guest.flush();
  assert.ok((await view.read(sizeBytes - 6000, 6000)).equals(Buffer.alloc(6000)));
  await pair.checkpoint();
  await view.write(sizeBytes - 5, Buffer.from('guest'));
  await guest.write(sizeBytes - 3, Buffer.from('end'));
  assert.ok((await view.read(sizeBytes - 7, 7)).equals(Buffer.from('\0\0guest')));
  const extents = await view.blockStatus(sizeBytes - 2 ** 30, 2 ** 30);
  assert.equal(
    extents.reduce((sum, extent) => sum + extent.length, 0),
    2 ** 30,
  );
  const [primary] = await pair.primaryReports();
  assert.equal(primary?.state, 'running');
  assert.equal(primary['dirty-bytes'], 0);
}

/** The largest size that a file at `path` can be given, up to what a node can have. */
async function largestFile(path: string): Promise<number> {
  await using file = await open(path, 'wx');
  let fits = 0;
  let tooLarge = HUGE_BYTES + 1;
  while (tooLarge - fits > 1) {
    const sizeBytes = fits + Math.ceil((tooLarge - fits) / 2);
    const isPossible = await file.truncate(sizeBytes).then(
      () => true,
      () => false,
    );
    if (isPossible) fits = sizeBytes;
    else tooLarge = sizeBytes;
  }
  return fits;
}

function refusal(pattern: RegExp): (error: unknown) => boolean {
  return error => error instanceof QmpError && pattern.test(error.message);
}

test('a checkpoint of two disks is one cut through the writes of both', async () => {
  const chains = 32;
  await using folder = await TemporaryFolder.create('memory');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes: MIB, disks: 2 });
  const [first, second] = pair.disks;
  await using disk0 = await NbdClient.connect(first.rootUri);
  await using disk1 = await NbdClient.connect(second?.rootUri ?? assert.fail());
  let isStopping = false;
  /** Writes `n` to the first disk, and once that is acknowledged to the second, for n = 1, 2, … */
  const chain = async (block: number): Promise<void> => {
    for (let n = 1; !isStopping; n++) {
      await disk0.write(block * BLOCK_BYTES, stamped(block, n));
      await disk1.write(block * BLOCK_BYTES, stamped(block, n));
    }
  };
  const running = Promise.all(Array.from({ length: chains }, (_, block) => chain(block)));
  await using view0 = await NbdClient.connect(first.viewUri);
  await using view1 = await NbdClient.connect(second?.viewUri ?? assert.fail());
  let last = 0;
  for (let i = 0; i < 10; i++) {
    await pair.checkpoint();
    const before = sequencesIn(await view0.read(0, chains * BLOCK_BYTES), chains);
    const after = sequencesIn(await view1.read(0, chains * BLOCK_BYTES), chains);
    for (const [block, n] of before.entries()) {
      const m = after[block] as number;
      assert.ok(m === n || m === n - 1, `Chain ${block} is at ${n} on the first disk and at ${m} on the second`);
    }
    const total = before.reduce((sum, n) => sum + n, 0);
    assert.ok(total > last, 'The views have not moved');
    last = total;
  }
  isStopping = true;
  await running;
});

test('under load a view shows what was acknowledged before its checkpoint and nothing submitted after it', async () => {
  await using loaded = await LoadedPair.start();
  for (let i = 0; i < 5; i++) {
    const startMs = performance.now();
    await loaded.pair.checkpoint();
    const endMs = performance.now();
    await loaded.acknowledges(100);
    for (const [index, disk] of loaded.pair.disks.entries()) {
      await using view = await NbdClient.connect(disk.viewUri);
      const image = await view.read(0, DISK_BYTES);
      const { records } = loaded.loads[index] ?? assert.fail();
      assertImageHolds(image, records, LOAD_BLOCKS, { acknowledgedBy: startMs, submittedBy: endMs });
    }
  }
  await loaded.stopLoads();
  loaded.assertCompleted();
});

test('a secondary that received another number of writes refuses the checkpoint, and the next one is taken', async () => {
  await withPair(1, async pair => {
    await using guest = await NbdClient.connect(pair.disks[0].rootUri);
    await guest.write(0, stamped(0, 1));
    const { writes } = await pair.primary.qmp.execute<{ writes: Record<string, number> }>(
      'replication-checkpoint-prepare',
      { nodes: pair.roots, checkpoint: 1 },
    );
    assert.deepEqual(writes, { root0: 1 });
    const onSecondary = { nodes: pair.buffers, checkpoint: 1 };
    await assert.rejects(
      pair.secondary.qmp.execute('replication-checkpoint-prepare', { ...onSecondary, writes: { root0: 2 } }),
      refusal(/'buffer0' received 1 writes/),
    );
    await pair.primary.qmp.execute('replication-checkpoint-abort', { nodes: pair.roots, checkpoint: 1 });
    await guest.write(BLOCK_BYTES, stamped(1, 1));
    // The refused attempt has used up its number on neither side.
    await pair.checkpoint();
    assert.equal((await pair.secondaryReports())[0]?.checkpoint, 1);
  });
});

test('a second prepare is refused while the first is not done, and so is an old number', async () => {
  await withPair(2, async pair => {
    const sides = [
      { qmp: pair.primary.qmp, nodes: pair.roots },
      { qmp: pair.secondary.qmp, nodes: pair.buffers },
    ];
    await pair.checkpoint();
    for (const { qmp, nodes } of sides) {
      await assert.rejects(
        qmp.execute('replication-checkpoint-prepare', { nodes, checkpoint: 1 }),
        refusal(/Checkpoint 1 of '(root|buffer)0', '(root|buffer)1' is not larger than the last one, 1/),
      );
      await qmp.execute('replication-checkpoint-prepare', { nodes, checkpoint: 2 });
      await assert.rejects(
        qmp.execute('replication-checkpoint-prepare', { nodes, checkpoint: 3 }),
        refusal(/Checkpoint 2 of .* is being prepared/),
      );
      await assert.rejects(
        qmp.execute('replication-checkpoint-prepare', { nodes: nodes.slice(0, 1), checkpoint: 3 }),
        refusal(/replicates together with '(root|buffer)1'/),
      );
      await qmp.execute('replication-checkpoint-abort', { nodes, checkpoint: 2 });
    }
    await pair.checkpoint();
  });
});

test('doing a checkpoint twice is doing it once, and one that is not prepared is refused', async () => {
  await withPair(1, async pair => {
    const { checkpoint } = await pair.checkpoint();
    await using guest = await NbdClient.connect(pair.disks[0].rootUri);
    await guest.write(0, stamped(0, 1));
    await pair.secondary.qmp.execute('replication-checkpoint-do', { nodes: pair.buffers, checkpoint });
    await using view = await NbdClient.connect(pair.disks[0].viewUri);
    assert.ok((await view.read(0, BLOCK_BYTES)).equals(Buffer.alloc(BLOCK_BYTES)), 'The view has not moved');
    await assert.rejects(
      pair.secondary.qmp.execute('replication-checkpoint-do', { nodes: pair.buffers, checkpoint: checkpoint + 1 }),
      refusal(/'buffer0' is not prepared/),
    );
  });
});

test('an aborted checkpoint leaves the view where it was, with all that was written meanwhile', async () => {
  await withPair(1, async pair => {
    await using guest = await NbdClient.connect(pair.disks[0].rootUri);
    await using view = await NbdClient.connect(pair.disks[0].viewUri);
    const shown = async (): Promise<readonly number[]> => sequencesIn(await view.read(0, 3 * BLOCK_BYTES), 3);
    await guest.write(0, stamped(0, 1));
    await pair.checkpoint();
    await guest.write(0, stamped(0, 2));
    const onSecondary = { nodes: pair.buffers, checkpoint: 2 };
    await pair.secondary.qmp.execute('replication-checkpoint-prepare', onSecondary);
    await guest.write(0, stamped(0, 3));
    await guest.write(BLOCK_BYTES, stamped(1, 4));
    assert.deepEqual(await shown(), [1, 0, 0]);
    await pair.secondary.qmp.execute('replication-checkpoint-abort', onSecondary);
    assert.deepEqual(await shown(), [1, 0, 0]);
    await guest.write(2 * BLOCK_BYTES, stamped(2, 5));
    assert.deepEqual(await shown(), [1, 0, 0]);
    await pair.checkpoint();
    assert.deepEqual(await shown(), [3, 4, 5]);
  });
});

test('a hold delays writes until it expires, and the resume after that is refused', async () => {
  await withPair(2, async pair => {
    const onPrimary = { nodes: pair.roots, checkpoint: 1 };
    await using guest = await NbdClient.connect(pair.disks[1]?.rootUri ?? assert.fail());
    await pair.primary.qmp.execute('replication-checkpoint-prepare', { ...onPrimary, 'timeout-ms': 300 });
    const startMs = performance.now();
    await guest.write(0, stamped(0, 1));
    const heldMs = performance.now() - startMs;
    assert.ok(heldMs > 150 && heldMs < 800, `The write was held for ${heldMs} ms`);
    await assert.rejects(pair.primary.qmp.execute('replication-resume', onPrimary), refusal(/checkpoint 1 .* expired/));
    await pair.checkpoint();
  });
});

test('a hold that is longer than a write may take delays writes and fails none', async () => {
  await using loaded = await LoadedPair.start();
  const onPrimary = { nodes: loaded.pair.roots, checkpoint: 1 };
  const holdMs = 2 * REQUEST_TIMEOUT_MS;
  await loaded.pair.primary.qmp.execute('replication-checkpoint-prepare', { ...onPrimary, 'timeout-ms': holdMs });
  // Fewer than these were answered before the hold, and their answers may still be on their way.
  await loaded.acknowledges(100);
  await assert.rejects(loaded.pair.primary.qmp.execute('replication-resume', onPrimary), refusal(/expired/));
  await loaded.acknowledges(100);
  await loaded.stopLoads();
  for (const { records } of loaded.loads) assert.ok(records.every(record => record.errno === 0));
  await loaded.pair.checkpoint();
  for (const report of await loaded.pair.primaryReports()) {
    assert.equal(report.state, 'running');
    assert.equal(report['dirty-bytes'], 0);
  }
});

test('an unaligned end of the disk goes the whole way: write, view, checkpoint and take-over', async () => {
  const sizeBytes = MIB + 1000;
  await using folder = await TemporaryFolder.create('disk');
  await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes });
  await using guest = await NbdClient.connect(pair.disks[0].rootUri);
  await using view = await NbdClient.connect(pair.disks[0].viewUri);
  assert.equal(guest.sizeBytes, sizeBytes);
  assert.equal(view.sizeBytes, sizeBytes);
  const tail = Buffer.alloc(5000, 0x61);
  const at = sizeBytes - tail.length;
  const end = (client: NbdClient): Promise<Buffer> => client.read(at, tail.length);
  await guest.write(at, tail);
  assert.ok((await end(view)).equals(Buffer.alloc(tail.length)));
  await pair.checkpoint();
  assert.ok((await end(view)).equals(tail));
  await guest.trim(sizeBytes - 700, 700);
  await guest.writeZeroes(sizeBytes - 1300, 300);
  await view.write(sizeBytes - 1, Buffer.from('z'));
  const standby = Buffer.from(tail);
  standby[tail.length - 1] = 'z'.charCodeAt(0);
  assert.ok((await end(view)).equals(standby));
  await pair.failOver('checkpoint');
  assert.ok((await end(view)).equals(standby));
});

test('disks of 2^53 - 1 bytes are written, discarded and checkpointed at their very end', async () => {
  await using folder = await TemporaryFolder.create('memory');
  const nothing = () => ({ driver: 'null', size: HUGE_BYTES });
  await using pair = await ColobusPair.start({
    directory: folder.path,
    sizeBytes: MIB,
    primaryDisk: nothing,
    secondaryDisk: nothing,
  });
  await exerciseEnd(pair, HUGE_BYTES);
});

test('sparse files as large as the file system takes are written, discarded and checkpointed at their very end', async () => {
  for (const place of ['disk', 'memory'] as const) {
    await using folder = await TemporaryFolder.create(place);
    const sizeBytes = await largestFile(folder.file('probe'));
    await using pair = await ColobusPair.start({ directory: folder.path, sizeBytes });
    await exerciseEnd(pair, sizeBytes);
    await using guest = await NbdClient.connect(pair.disks[0].rootUri);
    assert.ok((await guest.read(sizeBytes - 7, 7)).equals(Buffer.from('\0\0\0\0end')));
    await pair.failOver('checkpoint');
    await using standby = await NbdClient.connect(pair.disks[0].viewUri);
    assert.ok((await standby.read(sizeBytes - 7, 7)).equals(Buffer.from('\0\0guest')));
  }
});
