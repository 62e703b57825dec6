/**
 * Replication over links that QEMU's pair is not measured on: with TLS, with a millisecond of round trip, and of two
 * disks at once. Reported, without a floor.
 */

import { join } from 'node:path';
import { Relay } from '../../test/support/relay.ts';
import { TlsFiles } from '../../test/support/tls-files.ts';
import type { BenchmarkOptions } from '../benchmark-group.ts';
import type { Measurement } from '../benchmark-result.ts';
import { runFio } from '../fio.ts';
import { openColobusPair, startColobusPair } from '../pair-subjects.ts';
import { inRounds } from '../rounds.ts';
import { DISK_BYTES, replicationWorkloads } from './replication-workloads.ts';

const ROUND_TRIP_MS = 1;
const TWO_DISKS = '4 KiB random write, depth 32, fresh epoch, two disks at once';

export async function measureOtherLinks(options: BenchmarkOptions): Promise<Measurement[]> {
  return [...(await measureTls(options)), ...(await measureLongLink(options)), ...(await measureTwoDisks(options))];
}

async function measureTls(options: BenchmarkOptions): Promise<Measurement[]> {
  const { fresh, single, sequential1m } = replicationWorkloads(options.seconds);
  await using tls = await TlsFiles.create();
  await using pair = await startColobusPair('colobus (TCP, TLS)', options, {
    sizeBytes: DISK_BYTES,
    link: 'tcp',
    tlsDirectory: tls.directory,
  });
  return await inRounds(options, async samples => {
    for (const workload of [fresh, single, sequential1m]) await pair.measure(workload, samples);
  });
}

/** The relay is in this process, which has nothing else to do while fio runs. */
async function measureLongLink(options: BenchmarkOptions): Promise<Measurement[]> {
  const { fresh, single, sequential1m } = replicationWorkloads(options.seconds);
  const name = 'colobus (1 ms away)';
  const path = join(options.workDirectory, 'relay');
  await using _relay = await Relay.listen(path, join(options.workDirectory, 'colobus-1-ms-away/secondary.nbd'), {
    delayMs: ROUND_TRIP_MS,
  });
  await using pair = await startColobusPair(name, options, {
    sizeBytes: DISK_BYTES,
    linkOptions: { server: { type: 'unix', path } },
  });
  return await inRounds(options, async samples => {
    for (const workload of [fresh, single, sequential1m]) await pair.measure(workload, samples);
  });
}

async function measureTwoDisks(options: BenchmarkOptions): Promise<Measurement[]> {
  const { fresh } = replicationWorkloads(options.seconds);
  const name = 'colobus (unix)';
  await using pair = await openColobusPair('colobus two disks', options, { sizeBytes: DISK_BYTES / 2, disks: 2 });
  const job = { ...fresh.job, size: DISK_BYTES / 2, io_size: DISK_BYTES / 4 };
  return await inRounds(options, async samples => {
    await pair.checkpoint();
    const results = await Promise.all(pair.disks.map(({ rootUri }) => runFio(job, rootUri, options.workDirectory)));
    samples.add(
      TWO_DISKS,
      name,
      'IOPS',
      results.reduce((sum, { iops }) => sum + iops, 0),
    );
  });
}
