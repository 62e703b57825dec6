/** What a job is made from, and what it tells of itself. */

import type { Clock } from '../base/clock.ts';
import type { JobEventSink } from './job-event.ts';
import type { JobStatus } from './job-status.ts';
import type { JobWork } from './job-work.ts';

/** Of the last failure that a job was stopped by, until it is resumed. */
export type IoStatus = 'ok' | 'failed' | 'nospace';

export type JobInfo = {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  /** Bytes done and bytes in all; neither falls. */
  readonly currentProgress: number;
  readonly totalProgress: number;
  readonly error?: string;
  readonly isPaused: boolean;
  readonly isReady: boolean;
  readonly ioStatus: IoStatus;
  readonly speed: number;
  readonly autoFinalize: boolean;
  readonly autoDismiss: boolean;
};

export type JobOptions = {
  readonly id: string;
  /** QEMU's job type, such as `commit`. */
  readonly type: string;
  readonly work: JobWork;
  readonly clock: Clock;
  readonly emit?: JobEventSink;
  /** Bytes a second; 0, the default, is no limit. */
  readonly speed?: number;
  /** Does not wait for job-finalize; true unless given. */
  readonly autoFinalize?: boolean;
  /** Goes by itself when it has concluded; `success` keeps one that failed. True unless given. */
  readonly autoDismiss?: boolean | 'success';
  /** What the end of the daemon does with it: what it works on would be left between two states. */
  readonly finishAtEnd?: boolean;
};
