import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DiskClient } from '../../test/support/disk-client.ts';
import { SeededRandom } from '../../test/support/seeded-random.ts';
import { systemClock } from '../base/clock.ts';
import { READ_SHARED } from '../block/block-edge.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { drivers } from '../drivers/index.ts';
import { OverlayNode } from '../drivers/overlay/overlay-node.ts';
import { Job } from './job.ts';
import type { JobStatus } from './job-status.ts';
import { MirrorWork } from './mirror-work.ts';
import { OverlayCommit, openBacking } from './overlay-commit.ts';

/** Not whole chunks. */
const SIZE = 300_001;

type Scene = { readonly graph: BlockGraph; readonly overlay: OverlayNode; readonly job: Job };

/** A commit that has started, of an overlay on a disk of fives; `scribble` is done to the overlay before. */
async function startCommit(graph: BlockGraph, scribble: (top: DiskClient) => Promise<void>): Promise<Scene> {
  const base = await graph.add({ driver: 'memory', 'node-name': 'base', size: SIZE });
  {
    using writer = new DiskClient(base);
    await writer.write(0, Buffer.alloc(SIZE, 5));
  }
  const overlay = await graph.add({ driver: 'overlay', 'node-name': 'top', storage: 'memory', backing: 'base' });
  assert.ok(overlay instanceof OverlayNode);
  {
    using top = new DiskClient(overlay);
    await scribble(top);
  }
  const closeBacking = await openBacking(overlay);
  const mirror = new MirrorWork({
    graph,
    clock: systemClock,
    holder: "job 'c'",
    source: overlay,
    target: base,
    replaces: overlay,
    checkReplacement: () => {},
    sync: 'top',
    copyMode: 'background',
    granularityBytes: 4096,
    bufferBytes: 1024 * 1024,
    onSourceError: 'report',
    onTargetError: 'report',
  });
  const work = new OverlayCommit(mirror, closeBacking);
  const job = new Job({ id: 'c', type: 'commit', work, clock: systemClock, autoDismiss: false });
  job.start();
  await job.prepared;
  return { graph, overlay, job };
}

function isIn(job: Job, status: JobStatus): boolean {
  return job.status === status;
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

test('a commit of an overlay under writes leaves the backing with all of them, and its users on it', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const random = new SeededRandom(seed);
    const model = Buffer.alloc(SIZE, 5);
    const write = async (disk: DiskClient): Promise<void> => {
      const offset = random.below(SIZE);
      const bytes = random.bytes(Math.min(SIZE - offset, 1 + random.below(20_000)));
      bytes.copy(model, offset);
      await disk.write(offset, bytes);
    };
    await using graph = new BlockGraph({ drivers });
    const { overlay, job } = await startCommit(graph, async top => {
      for (let writes = 0; writes < 10; writes++) await write(top);
    });
    using guest = new DiskClient(overlay);
    while (!isIn(job, 'ready')) {
      if (random.below(3) === 0) await write(guest);
      await turn();
    }
    for (let writes = 0; writes < 10; writes++) await write(guest);
    job.complete();
    while (!isIn(job, 'concluded')) {
      await write(guest);
      await turn();
    }
    assert.equal(job.info.error, undefined);
    assert.equal(guest.backend.node, graph.node('base'));
    await write(guest);
    assert.ok((await guest.read(0, SIZE)).equals(model), `seed ${seed}`);
  }
});

test('only what was written to the overlay is committed', async () => {
  await using graph = new BlockGraph({ drivers });
  const { job } = await startCommit(graph, top => top.write(5000, Buffer.alloc(10, 1)));
  while (!isIn(job, 'ready')) await turn();
  assert.deepEqual([job.info.currentProgress, job.info.totalProgress], [4096, 4096]);
  job.cancel({ force: true });
  await job.ended;
});

test('a commit that is cancelled leaves the view of the overlay as it was, and its backing to it alone', async () => {
  await using graph = new BlockGraph({ drivers });
  const { overlay, job } = await startCommit(graph, top => top.write(5000, Buffer.alloc(10, 1)));
  while (!isIn(job, 'ready')) await turn();
  job.cancel({ force: true });
  await job.ended;
  using top = new DiskClient(overlay, READ_SHARED);
  assert.ok((await top.read(0, SIZE)).equals(Buffer.alloc(SIZE, 5).fill(1, 5000, 5010)));
  assert.throws(() => new DiskClient(graph.node('base')), /in use by node 'top', which does not share writing/);
});
