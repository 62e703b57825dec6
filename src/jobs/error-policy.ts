/** What a job does about a request that failed, in QEMU's words (BlockdevOnError). */

import { ENOSPC } from '../base/errno.ts';

/** `enospc` stops where space is missing and reports everything else. */
export const ON_ERROR_POLICIES = ['report', 'ignore', 'enospc', 'stop', 'auto'] as const;

export type OnError = (typeof ON_ERROR_POLICIES)[number];

/** `report` fails the job, `ignore` tries again later, `stop` pauses the job until somebody resumes it. */
export type ErrorAction = 'report' | 'ignore' | 'stop';

export function actionFor(policy: OnError, errno: number): ErrorAction {
  switch (policy) {
    case 'report':
    case 'ignore':
    case 'stop':
      return policy;
    case 'enospc':
    case 'auto':
      return errno === ENOSPC ? 'stop' : 'report';
  }
}
