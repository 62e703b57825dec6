/**
 * The verdict on a take-over: what the standby's raw image holds against what was acknowledged.
 *
 * Image `latest` must hold every acknowledged write; where one to the same block was under way when the primary died,
 * that one may be there instead. Image `checkpoint` must be exactly the disk at the last checkpoint's cut.
 */

import type { TakeOverImage } from '../../block/replication-status.ts';
import { NEVER_WRITTEN } from './block-stamp.ts';
import type { WriteLog } from './write-log.ts';

export type Evidence = {
  readonly image: TakeOverImage;
  /** The sequence number that each block of the raw image holds, or DAMAGED. */
  readonly found: Float64Array;
  readonly log: WriteLog;
  /** Writes that were under way when the primary died: the sequence number by block. */
  readonly inFlight: ReadonlyMap<number, number>;
};

export type Verdict = {
  /** Acknowledged writes that are missing where they must be, neither there nor overwritten by a later one. */
  readonly lost: number;
  /** Writes acknowledged after the cut of the last checkpoint, which a take-over with image `checkpoint` undoes. */
  readonly rolledBack: number;
  /** Blocks with a content that the image must not have: damaged, or from a write that does not belong to it. */
  readonly wrongBlocks: number;
};

export function verify({ image, found, log, inFlight }: Evidence): Verdict {
  const promised = image === 'latest' ? log.length : (log.cuts.at(-1) ?? 0);
  const expected = new Float64Array(found.length).fill(NEVER_WRITTEN);
  let lost = 0;
  log.forEach(0, promised, (block, sequence) => {
    expected[block] = sequence;
    // A later write to the same block has a larger number, a damaged block has a smaller one than any write.
    if ((found[block] as number) < sequence) lost += 1;
  });
  let wrongBlocks = 0;
  for (let block = 0; block < found.length; block++) {
    if (found[block] === expected[block]) continue;
    if (image === 'latest' && found[block] === inFlight.get(block)) continue;
    wrongBlocks += 1;
  }
  return { lost, rolledBack: log.length - promised, wrongBlocks };
}
