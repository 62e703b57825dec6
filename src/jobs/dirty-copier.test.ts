import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { deferred } from '../base/deadline.ts';
import { BlockGraph } from '../block/block-graph.ts';
import { BlockNode } from '../block/block-node.ts';
import type { BlockRequest } from '../block/block-request.ts';
import { Job } from './job.ts';
import { MirrorWork } from './mirror-work.ts';

const MIB = 1024 * 1024;
const DISK_BYTES = 512 * MIB;

/** A disk full of data that it does not keep. It tells so when other requests have gone on meanwhile. */
class FullDisk extends BlockNode {
  statuses = 0;
  writtenBytes = 0;

  constructor(name: string) {
    super({ name, driver: 'full', lengthBytes: DISK_BYTES, readOnly: false });
  }

  protected override perform(request: BlockRequest): void {
    const { kind, length } = request;
    if (request.changesData) this.writtenBytes += length;
    if (kind === 'read') request.buffer[request.at] = 1;
    if (kind === 'block-status') {
      this.statuses += 1;
      request.extents?.append(length, 0);
      setImmediate(() => request.complete(0));
    } else {
      request.complete(0);
    }
  }
}

test('where there is data is asked once for each range, however many copies are under way', async () => {
  const [source, target] = [new FullDisk('source'), new FullDisk('target')];
  await using graph = new BlockGraph({ drivers: [] });
  const work = new MirrorWork({
    holder: "job 'j'",
    graph,
    clock: systemClock,
    source,
    target,
    replaces: source,
    checkReplacement: () => {},
    sync: 'full',
    copyMode: 'background',
    granularityBytes: 65_536,
    bufferBytes: 16 * MIB,
    onSourceError: 'report',
    onTargetError: 'report',
  });
  const isReady = deferred<void>();
  const emit = ({ name }: { readonly name: string }): void => {
    if (name === 'BLOCK_JOB_READY') isReady.resolve();
  };
  const job = new Job({ id: 'j', type: 'mirror', work, clock: systemClock, emit });
  job.start();
  await isReady.promise;
  assert.ok(source.statuses <= DISK_BYTES / (64 * MIB), `${source.statuses} times`);
  job.cancel({ force: true });
  await job.ended;
  assert.equal(target.writtenBytes, DISK_BYTES);
});
