/** Starting a job whose work takes hold of nodes when it is made. */

import type { JobList, NewJob } from '../jobs/job-list.ts';
import type { JobWork } from '../jobs/job-work.ts';

/**
 * Makes the work of a job and starts it; resolves when it is prepared and goes on by itself. Throws, with nothing held,
 * where it cannot be.
 */
export async function startJob(jobs: JobList, wanted: Omit<NewJob, 'work'>, makeWork: () => JobWork): Promise<void> {
  jobs.checkId(wanted.id);
  const work = makeWork();
  try {
    const job = jobs.start({ ...wanted, work });
    await job.prepared;
  } catch (error) {
    await work.close?.();
    throw error;
  }
}
