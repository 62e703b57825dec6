/**
 * The take-over: the primary dies, the standby's host goes on with the image that is asked for.
 *
 *   SIGKILL → the process is gone → replication-stop, failover → export of the standby's disk → write
 *   └──────────────────────────────────── killToWriteMs ───────────────────────────────────┘
 */

import { ColobusError } from '../../base/errors.ts';
import type { TakeOverImage } from '../../block/replication-status.ts';
import { NbdClient } from '../../nbd/client/index.ts';
import { BLOCK_BYTES, writeStamp } from './block-stamp.ts';
import type { BlockWriter } from './block-writer.ts';
import { type HostPair, SECONDARY_NODES } from './host-pair.ts';
import { readSequence } from './stamped-image.ts';
import type { ViewReader } from './view-reader.ts';

const COMMIT_MS = 60_000;
const COMMIT_JOB = 'commit';

export type TakeOverOptions = {
  readonly pair: HostPair;
  readonly image: TakeOverImage;
  /** The raw image of the standby, to look whether the write is there. */
  readonly standbyImage: string;
  readonly writer: BlockWriter;
  readonly view: ViewReader;
};

/**
 * Kills the primary and takes over; the standby's image is complete and flushed on return. `killToWriteMs` is the time
 * from the SIGKILL to the first acknowledged write that is in the raw image. With image `checkpoint` that write comes
 * while the buffer is still being committed. Its block is put back as it was: the take-over leaves no trace.
 */
export async function takeOver(options: TakeOverOptions): Promise<{ readonly killToWriteMs: number }> {
  const { pair, image, standbyImage, writer, view } = options;
  writer.expectLoss();
  const startMs = performance.now();
  pair.alpha.kill();
  await Promise.all([pair.alpha.ended, writer.ended, view.stop()]);
  const stop = { nodes: SECONDARY_NODES, failover: true, image };
  await pair.beta.execute('replication-stop', image === 'checkpoint' ? { ...stop, 'job-id': COMMIT_JOB } : stop);
  const standby = { type: 'nbd', id: 'root', 'node-name': 'buffer', name: 'root', writable: true };
  await pair.beta.execute('block-export-add', standby);
  await using client = await NbdClient.connect({ address: pair.betaAddress, exportName: 'root' });

  const block = writer.lastAcknowledgedBlock;
  const before = await client.read(block * BLOCK_BYTES, BLOCK_BYTES);
  const sequence = writer.lastSequence + 1;
  const stamp = Buffer.alloc(BLOCK_BYTES);
  writeStamp(stamp, 0, block, sequence);
  await client.write(block * BLOCK_BYTES, stamp);
  const killToWriteMs = performance.now() - startMs;
  if ((await readSequence(standbyImage, block)) !== sequence) {
    throw new ColobusError(`The first write after the take-over is not in the standby's image '${standbyImage}'`);
  }
  await client.write(block * BLOCK_BYTES, before);
  if (image === 'checkpoint') await commitEnd(pair);
  await client.flush();
  return { killToWriteMs };
}

async function commitEnd({ beta }: HostPair): Promise<void> {
  await beta.jobEnd(COMMIT_JOB, COMMIT_MS);
  const [status] = await beta.execute<{ readonly state: string }[]>('query-replication');
  if (status?.state !== 'done') throw new ColobusError(`The commit on host beta ended in state '${status?.state}'`);
}
