/** The `commit` job: merges a COLO buffer into its disk after a failover to image `checkpoint`. */

import { assert } from '../base/assert.ts';
import type { BlockNode } from '../block/block-node.ts';
import { ColoBufferNode } from '../drivers/colo-buffer/colo-buffer-node.ts';
import type { Job } from './job.ts';
import type { JobList } from './job-list.ts';

/** Starts committing `node`, whose replication has been stopped with image `checkpoint`, as a job. */
export function startCommitJob(jobs: JobList, node: BlockNode, options: { readonly id?: string } = {}): Job {
  assert(node instanceof ColoBufferNode, 'Only a COLO buffer is committed');
  return jobs.start(options.id ?? `commit-${node.name}`, 'commit', control => node.commit(control));
}
