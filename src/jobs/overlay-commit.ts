/**
 * OverlayCommit: merges an overlay into its backing while it is written to, and lets its users go over to the backing.
 *
 * It is a mirror of what was written to the overlay, with the backing as its target. The overlay hides what changes
 * below it: its content never changes by the commit. What an overlay holds is gone with the daemon, so a daemon that
 * is killed in the middle leaves a backing between the two images; one that ends in order finishes the commit.
 */

import { READ_SHARED, READ_STABLE } from '../block/block-edge.ts';
import type { OverlayNode } from '../drivers/overlay/overlay-node.ts';
import type { JobControl, JobWork } from './job-work.ts';
import type { MirrorWork } from './mirror-work.ts';

/**
 * Makes the backing of `overlay` writable for a commit. Returns how to undo that, once or more; throws UsageError where
 * it cannot be.
 */
export async function openBacking(overlay: OverlayNode): Promise<() => Promise<void>> {
  const { backing } = overlay;
  const { node } = backing;
  const wasReadOnly = node.readOnly;
  if (wasReadOnly) await node.setReadOnly(false);
  backing.setPermissions(READ_SHARED);
  return async () => {
    const isWritten = [...node.parents].some(edge => edge !== backing && edge.permissions.write);
    if (isWritten) return;
    backing.setPermissions(READ_STABLE);
    if (wasReadOnly && !node.readOnly) await node.setReadOnly(true);
  };
}

export class OverlayCommit implements JobWork {
  readonly #mirror: MirrorWork;
  readonly #closeBacking: () => Promise<void>;

  /** `mirror` copies the overlay to its backing; `closeBacking` undoes `openBacking`, where nobody has gone over. */
  constructor(mirror: MirrorWork, closeBacking: () => Promise<void>) {
    this.#mirror = mirror;
    this.#closeBacking = closeBacking;
  }

  prepare(control: JobControl): Promise<void> {
    return this.#mirror.prepare(control);
  }

  run(control: JobControl): Promise<void> {
    return this.#mirror.run(control);
  }

  finalize(): Promise<void> {
    return this.#mirror.finalize();
  }

  async close(): Promise<void> {
    await this.#mirror.close();
    await this.#closeBacking();
  }

  wake(): void {
    this.#mirror.wake();
  }
}
