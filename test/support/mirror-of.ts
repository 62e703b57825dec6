/** Mirrors of tests. */

import type { Job } from '../../src/jobs/job.ts';
import { type MirrorOptions, MirrorWork } from '../../src/jobs/mirror-work.ts';
import type { LiveCopy } from './live-copy.ts';

/** What a mirror copies: a LiveCopy is one. */
export type MirrorDisks = Pick<MirrorOptions, 'graph' | 'clock' | 'source' | 'target'>;

/** A full mirror in the background that ends at the first error, unless `options` say otherwise. */
export function mirrorOf(disks: MirrorDisks, options: Partial<MirrorOptions> = {}): MirrorWork {
  const { graph, clock, source, target } = disks;
  return new MirrorWork({
    holder: "job 'j'",
    checkReplacement: () => {},
    sync: 'full',
    copyMode: 'background',
    granularityBytes: 4096,
    bufferBytes: 4 * 1024 * 1024,
    onSourceError: 'report',
    onTargetError: 'report',
    graph,
    clock,
    source,
    target,
    replaces: source,
    ...options,
  });
}

/** Brings a mirror to where its users are held and a flush of the target is under way. */
export async function untilHeld(copy: LiveCopy, job: Job): Promise<void> {
  await copy.until(() => job.status === 'ready', { writes: false });
  job.complete();
  await copy.until(() => copy.guest.backend.isHeld && copy.target.waiting[0]?.kind === 'flush', { writes: false });
}
