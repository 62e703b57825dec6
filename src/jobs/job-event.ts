/** What a job tells the outside as it happens; the monitor sends them on as QMP events of the same name and data. */

import type { ErrorAction } from './error-policy.ts';
import type { JobStatus } from './job-status.ts';

/** How far a block job is. Its `device` is the job's id; lengths are bytes, the speed bytes a second. */
export type BlockJobProgress = {
  readonly device: string;
  readonly len: number;
  readonly offset: number;
  readonly speed: number;
  readonly type: string;
};

export type JobEvent =
  | { readonly name: 'JOB_STATUS_CHANGE'; readonly data: { readonly id: string; readonly status: JobStatus } }
  | { readonly name: 'BLOCK_JOB_READY' | 'BLOCK_JOB_CANCELLED'; readonly data: BlockJobProgress }
  | { readonly name: 'BLOCK_JOB_COMPLETED'; readonly data: BlockJobProgress & { readonly error?: string } }
  | { readonly name: 'BLOCK_JOB_PENDING'; readonly data: { readonly type: string; readonly id: string } }
  | {
      readonly name: 'BLOCK_JOB_ERROR';
      readonly data: {
        readonly device: string;
        readonly operation: 'read' | 'write';
        readonly action: ErrorAction;
      };
    };

export type JobEventSink = (event: JobEvent) => void;
