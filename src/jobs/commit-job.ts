/** The `commit` job of a failover to image `checkpoint`: merges a COLO buffer into its disk. */

import { assert } from '../base/assert.ts';
import { deferred } from '../base/deadline.ts';
import { BlockBackend } from '../block/block-backend.ts';
import { READ_SHARED } from '../block/block-edge.ts';
import type { BlockNode } from '../block/block-node.ts';
import { ColoBufferNode } from '../drivers/colo-buffer/colo-buffer-node.ts';
import type { Job } from './job.ts';
import type { JobList } from './job-list.ts';
import type { JobControl, JobWork } from './job-work.ts';

/**
 * Starts committing `node`, whose replication has been stopped with image `checkpoint`, as a job. One that failed stays
 * until it is dismissed; one that was cut off would leave a disk that is neither image, so the daemon's end finishes it.
 */
export function startCommitJob(jobs: JobList, node: BlockNode, options: { readonly id?: string } = {}): Job {
  assert(node instanceof ColoBufferNode, 'Only a COLO buffer is committed');
  const id = options.id ?? `commit-${node.name}`;
  jobs.checkId(id);
  return jobs.start({
    id,
    type: 'commit',
    node,
    work: new BufferCommitWork(node, `job '${id}'`),
    autoDismiss: 'success',
    finishAtEnd: true,
  });
}

class BufferCommitWork implements JobWork {
  readonly #node: ColoBufferNode;
  readonly #root: BlockBackend;
  #woken = deferred<void>();

  constructor(node: ColoBufferNode, holder: string) {
    this.#node = node;
    this.#root = new BlockBackend(holder, node, READ_SHARED);
  }

  run(control: JobControl): Promise<void> {
    let passed = 0;
    return this.#node.commit({
      root: this.#root,
      pausePoint: () => this.#pausePoint(control),
      progress: (done, total) => {
        control.limit.pass(Math.max(0, done - passed));
        passed = done;
        control.progress(done, total);
      },
    });
  }

  async close(): Promise<void> {
    this.#root.close();
    this.#root.detach();
  }

  wake(): void {
    this.#woken.resolve();
    this.#woken = deferred();
  }

  /** Waits for a resume, and for the speed. */
  async #pausePoint(control: JobControl): Promise<void> {
    await control.pausePoint();
    for (let { delayMs } = control.limit; delayMs > 0; { delayMs } = control.limit) {
      const timer = control.clock.after(delayMs, () => this.wake());
      await this.#woken.promise;
      timer.cancel();
      await control.pausePoint();
    }
  }
}
