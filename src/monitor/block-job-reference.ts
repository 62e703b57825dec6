/** A block job as the block-job commands name it: by its id, which QEMU calls `device` in most of them. */

import type { Job } from '../jobs/job.ts';
import type { JobList } from '../jobs/job-list.ts';
import { QmpError } from './protocol/qmp-error.ts';

/** The job called `id`; throws QmpError in QEMU's class and words where there is none. */
export function findBlockJob(jobs: JobList, id: string): Job {
  const job = jobs.find(id);
  if (job === undefined) throw new QmpError(`Block job '${id}' not found`, 'DeviceNotActive');
  return job;
}
