/** What becomes of a job when one of its copies fails. */

import { copyError } from './copy-roots.ts';
import type { DirtyCopier } from './dirty-copier.ts';
import type { OnError } from './error-policy.ts';
import type { JobControl } from './job-work.ts';
import type { RangeCopy } from './range-copy.ts';

/** A failure that is ignored is tried again after so long. */
const RETRY_MS = 100;

export type FailurePolicies = { readonly onSourceError: OnError; readonly onTargetError: OnError };

/** Tells of the failure of `copy`: returns the error that ends the job, or null to go on. */
export function copyFailed(
  copy: RangeCopy,
  policies: FailurePolicies,
  control: JobControl,
  copier: DirtyCopier | null,
): Error | null {
  const { error, failedOperation } = copy;
  if (error === null) return null;
  const policy = failedOperation === 'read' ? policies.onSourceError : policies.onTargetError;
  const action = control.failed(failedOperation, error.errno, policy);
  if (action === 'ignore') copier?.retryAfter(RETRY_MS);
  return action === 'report' ? copyError(error) : null;
}
