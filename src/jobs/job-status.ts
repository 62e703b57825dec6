/**
 * The statuses of a job and what may be asked of it in each; both are QEMU's (qapi/job.json).
 *
 *   created → running ⇄ paused
 *                │ ▲
 *                ▼ │ (a mirror or commit that has caught up)
 *              ready ⇄ standby
 *                │
 *   running, ready → waiting → pending → concluded → null
 *        any of these │ failure, cancel     ▲
 *                     └──────► aborting ────┘
 */

export const JOB_STATUSES = [
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];

export type JobVerb = 'cancel' | 'pause' | 'resume' | 'set-speed' | 'complete' | 'finalize' | 'dismiss';

const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  created: ['running', 'aborting', 'null'],
  running: ['paused', 'ready', 'waiting', 'aborting'],
  paused: ['running'],
  ready: ['standby', 'waiting', 'aborting'],
  standby: ['ready'],
  waiting: ['pending', 'aborting'],
  pending: ['aborting', 'concluded'],
  aborting: ['concluded'],
  concluded: ['null'],
  null: [],
};

const WORKING: readonly JobStatus[] = ['created', 'running', 'paused', 'ready', 'standby'];

const ACCEPTED: Readonly<Record<JobVerb, readonly JobStatus[]>> = {
  cancel: [...WORKING, 'waiting', 'pending'],
  pause: WORKING,
  resume: WORKING,
  'set-speed': WORKING,
  complete: ['ready', 'standby'],
  finalize: ['pending'],
  dismiss: ['concluded'],
};

/** A job may go from `from` to `to`. */
export function isNextStatus(from: JobStatus, to: JobStatus): boolean {
  return NEXT[from].includes(to);
}

/** A job in `status` may be asked for `verb`. */
export function acceptsVerb(status: JobStatus, verb: JobVerb): boolean {
  return ACCEPTED[verb].includes(status);
}
