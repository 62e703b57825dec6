/** A checkpoint with 128 MiB of originals in the buffer, quiesced, as QEMU's pair needs it. */

import type { BenchmarkOptions } from './benchmark-group.ts';
import { median } from './benchmark-result.ts';
import { type FioJob, runFio } from './fio.ts';
import { CHUNK_BYTES, type CheckpointMs, type PairSubject } from './pair-subjects.ts';
import type { Samples } from './samples.ts';

const MIB = 1024 * 1024;
/** Of a round. */
const CHECKPOINTS = 5;

export const PRESERVED_CHECKPOINT = 'checkpoint with 128 MiB preserved';
const SEQUENCE = `${PRESERVED_CHECKPOINT}, all commands as the client sees them`;

const ONE_COMMAND = `${PRESERVED_CHECKPOINT}, xen-colo-do-checkpoint on the secondary alone`;

/** Fills the buffer. */
export const PRESERVE: FioJob = { name: 'preserve', rw: 'write', bs: '1m', iodepth: 4, size: 128 * MIB };

/** The medians of several: one alone is so short that the scheduler decides about it. */
export async function measureCheckpoint(
  pair: PairSubject,
  samples: Samples,
  { workDirectory }: Pick<BenchmarkOptions, 'workDirectory'>,
): Promise<void> {
  await pair.checkpoint();
  const timings: CheckpointMs[] = [];
  const secondaryTimings: number[] = [];
  const fillBuffer = async (): Promise<void> => {
    const { requests } = await runFio(PRESERVE, pair.uri, workDirectory);
    await pair.verifyPreserved((requests * MIB) / CHUNK_BYTES);
  };
  for (let number = 0; number < CHECKPOINTS; number += 1) {
    await fillBuffer();
    timings.push(await pair.checkpoint());
    await fillBuffer();
    secondaryTimings.push(await pair.checkpointSecondary());
  }
  samples.add(PRESERVED_CHECKPOINT, pair.name, 'ms', median(timings.map(({ secondaryMs }) => secondaryMs)));
  samples.add(ONE_COMMAND, pair.name, 'ms', median(secondaryTimings));
  samples.add(SEQUENCE, pair.name, 'ms', median(timings.map(({ sequenceMs }) => sequenceMs)));
}
