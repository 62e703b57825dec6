/**
 * Replication, primary to secondary with copy-on-write: two Colobus daemons against QEMU's COLO pair.
 *
 * Both links, unix and TCP, have their pairs, which take each workload in turn; then come the links that QEMU's pair
 * does not have. At first each disk is filled through the pair, so that an original is never a run of zeroes, which a
 * buffer keeps for nothing. A *fresh epoch* begins with a checkpoint: the buffers are empty, and fio writes each block at
 * most once. A Colobus row counts only if the `checkpoint` image is still available at its end and the buffer holds
 * exactly the chunks that were written.
 */

import { join } from 'node:path';
import type { BenchmarkGroup, BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement, Promised } from '../benchmark-result.ts';
import { measureCheckpoint, PRESERVE, PRESERVED_CHECKPOINT } from '../checkpoint-workload.ts';
import { fioLine } from '../fio.ts';
import { NBDCOPY_WRITE, nbdcopyWrite } from '../nbdcopy.ts';
import { type PairSubject, startColobusPair, startQemuPair } from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import type { Samples } from '../samples.ts';
import { createFullImage, QEMU_NBD, startServer } from '../server-subjects.ts';
import { measure, type Subject } from '../subject.ts';
import { measureOtherLinks } from './replication-links.ts';
import {
  DISK_BYTES,
  FRESH_WRITE,
  GRAPH_READ,
  PRESERVED_WRITE,
  replicationWorkloads,
  SEQUENTIAL_1M,
  SEQUENTIAL_64K,
  SINGLE_WRITE,
} from './replication-workloads.ts';

const COPY_BYTES = DISK_BYTES / 4;
const COLOBUS_UNIX = 'colobus (unix)';
const QEMU_UNIX = 'qemu-pair (unix)';
const COLOBUS_TCP = 'colobus (TCP)';
const QEMU_TCP = 'qemu-pair (TCP)';

export const replicationGroup: BenchmarkGroup = {
  name: 'replication',
  summary: 'Replicated writes and reads, against QEMU’s COLO pair',
  promises: [
    atLeast(COLOBUS_UNIX, FRESH_WRITE, QEMU_UNIX, 3),
    atLeast(COLOBUS_UNIX, FRESH_WRITE, QEMU_UNIX, 8),
    atLeast(COLOBUS_TCP, FRESH_WRITE, QEMU_TCP, 20),
    atLeast(COLOBUS_UNIX, PRESERVED_WRITE, QEMU_UNIX, 4),
    atLeast(COLOBUS_UNIX, SINGLE_WRITE, QEMU_UNIX, 1.4),
    atLeast(COLOBUS_UNIX, SEQUENTIAL_64K, QEMU_UNIX, 1.5),
    atLeast(COLOBUS_UNIX, SEQUENTIAL_1M, QEMU_UNIX, 1.5),
    atLeast(COLOBUS_UNIX, GRAPH_READ, QEMU_NBD, 2.5),
    { subject: COLOBUS_UNIX, workload: PRESERVED_CHECKPOINT, peer: null, relation: 'at most', want: 5 },
  ],
  run,
};

async function run(options: BenchmarkOptions): Promise<Measurement[]> {
  for (const { job } of Object.values(replicationWorkloads(options.seconds))) options.report(fioLine(job));
  options.report(`${fioLine(PRESERVE)}   (before the checkpoint that is timed)`);
  return [
    ...(await measureUnixLinks(options)),
    ...(await measureTcpLinks(options)),
    ...(await measureOtherLinks(options)),
  ];
}

async function measureUnixLinks(options: BenchmarkOptions): Promise<Measurement[]> {
  const source = join(options.diskDirectory, 'source.img');
  await createFullImage(source, COPY_BYTES);
  const { reads, ...writes } = replicationWorkloads(options.seconds);
  await using qemu = await startQemuPair(QEMU_UNIX, options, { sizeBytes: DISK_BYTES, link: 'unix' });
  await using colobus = await startColobusPair(COLOBUS_UNIX, options, { sizeBytes: DISK_BYTES, link: 'unix' });
  await using plain = await startServer(QEMU_NBD, options, DISK_BYTES);
  const pairs = [qemu, colobus];
  return await inRounds(options, async samples => {
    await inTurn(pairs, pair => measureFreshEpoch(pair, samples, options));
    await inTurn(pairs, pair => pair.measure(writes.single, samples));
    await inTurn(pairs, pair => pair.measure(writes.sequential64k, samples));
    await inTurn(pairs, pair => pair.measure(writes.sequential1m, samples));
    const readers: Subject[] = [...pairs, plain];
    for (const subject of readers) await measure(reads, subject, samples, options);
    await inTurn(pairs, pair => measureCheckpoint(pair, samples, options));
    await inTurn(pairs, async pair => {
      await pair.checkpoint();
      samples.add(NBDCOPY_WRITE, pair.name, 'MiB/s', await nbdcopyWrite(source, pair.uri, COPY_BYTES));
    });
  });
}

async function measureTcpLinks(options: BenchmarkOptions): Promise<Measurement[]> {
  const { fresh, single, sequential64k, sequential1m } = replicationWorkloads(options.seconds);
  await using qemu = await startQemuPair(QEMU_TCP, options, { sizeBytes: DISK_BYTES, link: 'tcp' });
  await using colobus = await startColobusPair(COLOBUS_TCP, options, { sizeBytes: DISK_BYTES, link: 'tcp' });
  return await inRounds(options, async samples => {
    for (const workload of [fresh, single, sequential64k, sequential1m]) {
      await inTurn([qemu, colobus], pair => pair.measure(workload, samples));
    }
  });
}

/** Writes a quarter of the disk twice in one epoch: the second time every chunk has its original preserved. */
async function measureFreshEpoch(pair: PairSubject, samples: Samples, options: BenchmarkOptions): Promise<void> {
  const { fresh, preserved } = replicationWorkloads(options.seconds);
  const { requests } = await pair.measure(fresh, samples);
  await measure(preserved, pair, samples, options);
  await pair.verifyPreserved(requests);
}

async function inTurn(pairs: readonly PairSubject[], action: (pair: PairSubject) => Promise<unknown>): Promise<void> {
  for (const pair of pairs) await action(pair);
}

function atLeast(subject: string, workload: string, peer: string, want: number): Promised {
  return { subject, workload, peer, relation: 'at least', want };
}
